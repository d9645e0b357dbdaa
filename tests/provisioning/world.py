"""A small organisation to tell stories in: Dana runs it, Sam and Kim are on site, devices call in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count

from provisioning.codes import Key, Keyring
from provisioning.conversations import Conversation, ConversationKind
from provisioning.messages import MessageKind, OutboxMessage, Post
from provisioning.model import Actor, Device, Person, Role
from provisioning.ports import Member, Store
from provisioning.service import Policy, Provisioning
from provisioning.service.activation import ProvisionCall, Provisioned
from provisioning.service.devices import Added, Wanted
from provisioning.service.issuing import Issued, IssueOrder
from tests.fakes import FakeClock

TENANT = "contoso"
DANA = "00000000-0000-4000-8000-00000000000a"  # admin by configuration
SAM = "00000000-0000-4000-8000-0000000000a1"
KIM = "00000000-0000-4000-8000-0000000000a2"
LEE = "00000000-0000-4000-8000-0000000000a3"  # admin by grant where a story needs a second one

A, B, C, D = "805EC0112233", "805EC0112234", "805EC0445566", "805EC0778899"
KEYS = Keyring([Key("k1", b"k" * 32)])
POLICY = Policy(organisation="Contoso", tenant=TENANT, admins=frozenset({DANA}))


def chat_of(person: str) -> Conversation:
    return Conversation(id=f"chat-{person}", kind=ConversationKind.PERSONAL, service_url="", tenant=TENANT, bot_id="b")


def channel(name: str = "oslo") -> Conversation:
    return Conversation(
        id=f"channel-{name}", kind=ConversationKind.CHANNEL, service_url="", tenant=TENANT, bot_id="b", name=name
    )


def member(id_: str, name: str, *, upn: str = "", tenant: str = TENANT, guest: bool = False) -> Member:
    return Member(id=id_, teams_id=f"29:{id_}", name=name, upn=upn, tenant=tenant, guest=guest)


@dataclass
class World:
    """The use cases with everything around them within reach."""

    store: Store
    clock: FakeClock
    core: Provisioning

    def __post_init__(self) -> None:
        self._operations = count(1)

    async def people(self) -> World:
        await self.core.meet(member(DANA, "Dana Berg", upn="dana@contoso.com"), chat_of(DANA))
        for id_, name in ((SAM, "Sam Fox"), (KIM, "Kim Lund")):
            await self.core.meet(member(id_, name, upn=f"{name.split()[0].lower()}@contoso.com"), chat_of(id_))
            await self.core.grant(await self.dana(), id_, Role.TECHNICIAN)
        return self

    async def actor(self, id_: str, operation: str | None = None) -> Actor:
        """Who acts, as a door would load them: each time with an operation of its own, unless one is given."""
        person = await self.store.get(Person, id_)
        actor = self.core.actor_of(person) if person else Actor(id=id_, name="", tenant=TENANT)
        return replace(actor, operation=operation or f"op-{next(self._operations)}")

    async def dana(self) -> Actor:
        return await self.actor(DANA)

    async def sam(self) -> Actor:
        return await self.actor(SAM)

    async def kim(self) -> Actor:
        return await self.actor(KIM)

    async def person(self, id_: str) -> Person:
        person = await self.store.get(Person, id_)
        assert person is not None
        return person

    # -------------------------------------------------------------- devices

    async def add(self, *lines: tuple[str, str]) -> Added:
        return await self.core.add(await self.dana(), [Wanted(mac, location) for mac, location in lines])

    async def issue(self, text: str, to: str = "", **order: object) -> Issued:
        dana = await self.dana()
        target = await self.core.target(dana, text)
        return await self.core.issue(dana, IssueOrder(target, technicians=(to,) if to else (), **order))  # type: ignore[arg-type]

    async def device(self, mac: str) -> Device:
        device = await self.store.get(Device, mac)
        assert device is not None
        return device

    async def digits(self, mac: str) -> str:
        """The live code of a device, as whoever reads the card would see it."""
        device = await self.device(mac)
        assert device.code is not None
        return self.core.keys.unseal(mac, device.code)

    async def calls(
        self, mac: str, code: str, source: str = "10.1.2.3", retry_key: str = "", token: str = ""
    ) -> Provisioned:
        return await self.core.provision(ProvisionCall(mac, code, source, token=token, retry_key=retry_key))

    async def provisions(self, mac: str) -> Provisioned:
        """The device calls in with its live code."""
        return await self.calls(mac, await self.digits(mac))

    def later(self, **span: float) -> None:
        self.clock.advance(timedelta(**span))

    # -------------------------------------------------------------- what came of it

    async def facts(self, subject: str | None = None) -> list[str]:
        """Names of the audited facts, oldest first."""
        page = await self.store.history(subject, limit=1000)
        return [row.event.name for row in reversed(page.rows)]

    async def told(self, kind: MessageKind | None = None, reader: str | None = None) -> list[OutboxMessage]:
        """What waits in the outbox, oldest first."""
        rows = (await self.store.find(OutboxMessage, status="waiting", limit=1000)).rows
        return [m for m in rows if kind in (None, m.kind) and reader in (None, m.recipient)]

    async def delivers(self) -> Sequence[OutboxMessage]:
        """Everything due is sent, without leaving cards; returns it in order."""
        sent: list[OutboxMessage] = []
        while claimed := await self.core.claim():
            for message in claimed:
                await self.core.sent(message, None)
                sent.append(message)
        return sent

    async def shows(self, reader: str, subject: str, *, code: bool = False, view: str = "device") -> Post:
        """A card about the subject stands in the reader's chat (or in a channel)."""
        conversation = channel(reader.removeprefix("channel-")) if reader.startswith("channel-") else chat_of(reader)
        device = await self.store.get(Device, subject)
        post = Post(
            conversation=conversation,
            activity_id=f"activity-{next(self._operations)}",
            reader=reader,
            subject=subject,
            view=view,
            revision=device.version if device else 0,
            shows_code=code,
            posted_at=self.clock.now(),
        )
        await self.core.remember(post)
        known = await self.core.post(post.key)
        assert known is not None
        return known


def wrong(code: str) -> str:
    """Another complete code: the check digit is right, so that it costs a try."""
    from stdnum import damm

    body = f"{(int(code[:-1]) + 1) % 10 ** (len(code) - 1):0{len(code) - 1}d}"
    return body + str(damm.calc_check_digit(body))
