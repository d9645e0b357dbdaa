// The certified OpenID provider `oidc-provider` on loopback, device flow on, with its own HTML pages.
//
//   node provider.mjs http://127.0.0.1:4711     the issuer: where the layer in front of it listens (see layer.py)
//
// Prints {"port": …} when it is ready. Takes one JSON object a line on stdin and answers each with one on stdout:
//   {"do": "rotate"}                  new signing keys; what was begun goes on
//   {"do": "away"}, {"do": "back"}    stops listening and drops whoever is connected; listens again on the same port
//   {"do": "ttl", "seconds": 1}       life of device codes from now on
//   {"do": "clock", "seconds": 900}   how far its clock is from ours
// Ends when stdin does.

import { createHash, generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';

const TENANTS = {
  'contoso.example': '8c1f0d52-3f0e-4a6b-9d0c-5d1f6f2c7a10',
  'fabrikam.example': 'f4b1f7d6-2a51-4e1e-8f0b-0f6f1d9a5b22',
};
const GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const [issuer] = process.argv.slice(2);
const realNow = Date.now;
const state = { ttl: 600, skew: 0 };
Date.now = () => realNow() + state.skew * 1000; // what oidc-provider reads its time from
const memory = createMemoryAdapter(15); // outlives a rotation

function id(...words) { // the same in every run, in the form of a GUID
  const hex = createHash('sha256').update(words.join(' ')).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}

function account(login) {
  const [, domain] = login.toLowerCase().split('@');
  if (!domain) return { email: `${login}@plain.example` }; // as an ordinary provider: a subject that nobody types
  return { oid: id('oid', login.toLowerCase()), preferred_username: login, email: login, tid: TENANTS[domain] };
}

function keys() {
  const pairs = [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ec', { namedCurve: 'P-256' })];
  return { keys: pairs.map(({ privateKey }) => ({ ...privateKey.export({ format: 'jwk' }), use: 'sig' })) };
}

const client = { grant_types: [GRANT], response_types: [], redirect_uris: [] };

function provider() {
  const made = new Provider(issuer, {
    adapter: (model) => memory(model),
    claims: { openid: ['sub', 'oid', 'tid', 'preferred_username', 'email'] },
    clients: [
      { ...client, client_id: 'public', client_name: 'Provisioning Bot', token_endpoint_auth_method: 'none' },
      { ...client, client_id: 'confidential', client_secret: 'a secret: 100% "odd" +', token_endpoint_auth_method: 'client_secret_basic' },
      { ...client, client_id: 'elliptic', token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'ES256' },
    ],
    conformIdTokenClaims: false,
    cookies: { keys: ['only for tests'] },
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    findAccount: (_, login) => ({ accountId: login, claims: () => ({ sub: login, ...account(login) }) }),
    jwks: keys(),
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    ttl: { DeviceCode: () => state.ttl },
  });
  made.on('server_error', (_, error) => console.error(error));
  return made.callback();
}

let answer = provider();
const server = createServer((request, response) => answer(request, response));
server.keepAliveTimeout = 0;  // making keys may take longer than the 5 s after which an idle line would be closed, just as it is used again
const listen = (port) => new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
await listen(0);
const { port } = server.address();

const commands = {
  rotate: () => { answer = provider(); },
  away: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }),
  back: () => listen(port),
  ttl: ({ seconds }) => { state.ttl = seconds; },
  clock: ({ seconds }) => { state.skew = seconds; },
};

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
say({ port });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  await commands[command.do](command);
  say({ done: command.do });
}
process.exit(0);
