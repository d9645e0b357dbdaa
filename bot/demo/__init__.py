"""The credential-free playground: a page with two phones, a channel and a simulated device."""
