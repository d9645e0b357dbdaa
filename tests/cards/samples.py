"""Views of every shape as conversations will build them, with one text of a user's in every place that can hold one."""

from cards.view import (
    Button,
    CardPicture,
    ChoiceInput,
    CodeCard,
    Fact,
    FormCard,
    ListCard,
    Notice,
    PictureCard,
    RolloutCard,
    Row,
    Style,
    TextInput,
    ToggleInput,
    Tone,
    View,
)
from cards.words import bar, code_groups, escape, mac_dashed, mac_end

MAC = "805EC0112233"
CODE = "482913760257"
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
READERS = ("29:1-sam", "29:1-dana")

# What people, files and attackers put into names, places and notes. No line of it may become more than text.
HOSTILE = (
    'Room "north", \'south\' \\ {{7*7}} {% raw %} ${x} %s {name}',
    '", "actions": [{"type": "Action.OpenUrl", "url": "https://evil.example"}], "x": "',
    "</at><at>Everyone</at> <b>bold</b> <script>alert(1)</script> <https://evil.example> <a@evil.example>",
    "[Open](https://evil.example) ![](https://evil.example/x.png) [x][y] [y]: https://evil.example",
    "\\[Open\\](https://evil.example) https://evil.example www.evil.example",
    "**bold** __bold__ *i* _i_ ~~gone~~ `code` a_b_c 2 * 3 * 4 \\*x\\*",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "| a | b |\n| --- | --- |\n| c | d |",
    "line one\n\n    line two\n- three\r\n===\u2028four",
    "```\nfence\n```",
    "&lt;b&gt; &#42;x&#42; &amp; R&D",
    "W" * 200,
    "\u05d7\u05d3\u05e8 \u05e6\u05e4\u05d5\u05df \u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c",
    "👩‍🔧 🏢 ☎️ 🇳🇴 家 ß ﬁ",
    "\x00nul\x07bell\x1b[31mred\x7f\ud800 \u200bzero\ufeffwidth\u2060",
    "=HYPERLINK(\"https://evil.example\")",
    "   spaces   ",
    "Z̷̢̛a̸l̶g̵o̴ " * 20,
)  # fmt: skip


def every_shape(user: str = "Oslo/Floor 2/2.14") -> dict[str, View]:
    """Named views; `user` is what somebody typed: a location, a name, a note."""
    text = escape(user)
    return {
        "welcome": _welcome(text),
        "upload": _upload(text),
        "next": _next(text),
        "provisioned": _provisioned(text),
        "wrong_device": _wrong_device(text),
        "codes": _codes(text),
        "nothing": ListCard(title="My devices", empty="No devices today. I will write when there are."),
        "install": _install(text, user),
        "refused": _refused(text, user),
        "issue": _issue(text),
        "rollout": _rollout(text),
        "picture": PictureCard(title=f"{text} rollout", lines=(text,), picture=CardPicture(PIXEL, user or "-")),
        "sign_in": _sign_in(text),
        "bare": Notice(title=text or "-"),
    }


def _welcome(text: str) -> View:
    return Notice(
        title=f"Hello {text}",
        summary="Set up device provisioning, 2 steps",
        lines=(
            "You installed this for Contoso. You are the first admin.",
            "1. Add devices.\n2. Give codes to a technician.",
        ),
        small=("In a channel, mention me and say *connect*. *help* shows all.",),
        buttons=(Button("add", "Add one"), Button("upload", "Upload file"), Button("samples", "Try 3 samples")),
    )


def _upload(text: str) -> View:
    return ListCard(
        title="197 ready, 3 need fixing",
        tone=Tone.WARNING,
        notice=f"{text} was read. Nothing is saved yet.",
        lines=("New 190, already here 7. Oslo 150, Bergen 47. Yealink 180, Poly 17.",),
        rows=(
            Row("Row 17", f"{text}: 10 digits, a MAC has 12.", Tone.ATTENTION),
            Row("Row 88", "1.23E+11: Excel changed this to a number; format the column as Text.", Tone.ATTENTION),
            Row("Row 141", f"Same MAC as row 12 ({text}).", Tone.ATTENTION),
        ),
        small=("Or type *add 190*, *cancel*.",),
        buttons=(
            Button("upload.save", "Add 190", {"upload": "u7"}, Style.POSITIVE),
            Button("upload.errors", "Get error file", {"upload": "u7"}),
            Button("upload.cancel", "Cancel", {"upload": "u7"}),
        ),
    )


def _next(text: str) -> View:
    return CodeCard(
        title=f"Next: {text}",
        summary=f"{text}, 12 devices today, first on floor 2",
        device=f"Yealink phone, MAC ends {mac_end(MAC)} ({mac_dashed(MAC)})",
        code=code_groups(CODE),
        valid="Valid until 07:30 tomorrow",
        how="On the device: Settings, Provision device, type the code.",
        lines=(text,),
        facts=(Fact("Note", text), Fact("Asset", "A-1042")),
        small=("1 of 12. Or type *next*, *list*, *install 2.14*.",),
        buttons=(
            Button("install", "Confirm install", {"mac": MAC}, Style.POSITIVE),
            Button("problem", "Problem", {"mac": MAC}),
            Button("list", "List"),
        ),
        subject=MAC,
        revision=4,
        readers=READERS,
        refresh_verb="device.refresh",
    )


def _provisioned(text: str) -> View:
    return CodeCard(
        title="Provisioned 07:52",
        tone=Tone.GOOD,
        notice=f"{text} called in.",
        device=f"Yealink phone, MAC ends {mac_end(MAC)}",
        how="The screen should show Contoso.",
        buttons=(Button("install", "Confirm install", {"mac": MAC}, Style.POSITIVE), Button("problem", "Problem")),
        subject=MAC,
        revision=5,
    )


def _wrong_device(text: str) -> View:
    return Notice(
        title="That code is for another device",
        tone=Tone.ATTENTION,
        notice="The code was not accepted.",
        notice_tone=Tone.WARNING,
        lines=(f"That code is for MAC ending 22:33. The device that called ends 22:34 ({text}).",),
        facts=(Fact("Called in", text), Fact(text, "07:55")),
        small=(text,),
        buttons=(
            Button("code", "Code for 22:34", {"mac": "805EC0112234"}),
            Button("swap", "Swapped", {"mac": MAC, "other": "805EC0112234"}),
            Button("wrong.dismiss", "Not mine"),
        ),
        subject=MAC,
        revision=6,
    )


def _codes(text: str) -> View:
    rows = [
        Row(f"{text}", f"ends 22:{n:02}, waiting", tone) for n, tone in zip(range(30, 40), [*Tone, *Tone], strict=True)
    ]
    return ListCard(
        title="My devices",
        lines=(text,),
        rows=tuple(rows),
        small=("Page 1 of 4. Or type *code* and a room.",),
        buttons=(Button("list", "More", {"page": "2"}), Button("next", "Next device")),
        subject="technician:sam",
        revision=12,
    )


def _install(text: str, user: str) -> View:
    return FormCard(
        title=f"Confirm install: {text}",
        lines=("Say how it went.",),
        inputs=(
            TextInput(
                id="room", label="Room", value=user[:200], required=True, required_message="Which room is it in?"
            ),
            TextInput(id="note", label="Note", placeholder=text, lines=True),
            ToggleInput(id="checked", label="Checked", title="Mounted, cabled, screen on"),
        ),
        small=("Or type *install 2.14* and a note.",),
        buttons=(
            Button("install.save", "Save", {"mac": MAC}, Style.POSITIVE),
            Button("install.photo", "Save, add photo", {"mac": MAC}),
            Button("install.cancel", "Cancel", inputs=False),
        ),
        subject=MAC,
        revision=5,
    )


def _refused(text: str, user: str) -> View:
    return FormCard(
        title="Report a problem",
        tone=Tone.WARNING,
        notice="One thing is missing.",
        inputs=(
            ChoiceInput(
                id="kind",
                label=f"What is wrong with {text}?",
                choices=(("network", "No network"), ("refused", "Code refused"), ("other", text or "Other")),
                value="other",
                expanded=True,
                required=True,
                required_message="Choose what is wrong.",
            ),
            TextInput(id="note", label="Note", value=user[:200], error=f"{text} is too short: say what you see."),
            ToggleInput(id="here", label="Here", title=text or "Still here", value=True),
        ),
        buttons=(Button("problem.save", "Report", {"mac": MAC}, Style.DESTRUCTIVE),),
        subject=MAC,
        revision=5,
    )


def _issue(text: str) -> View:
    people = tuple((f"p{n}", f"{text} {n}") for n in range(16))
    return FormCard(
        title="Issue codes",
        facts=(Fact("Site", text), Fact("Waiting", "150")),
        inputs=(
            ChoiceInput(
                id="floor", label="Floor", choices=(("all", "All floors"), ("1", "1"), ("2", text or "2")), value="all"
            ),
            ChoiceInput(id="person", label="Technician", choices=people, placeholder="Who installs them?"),
        ),
        small=("Codes are valid for 24 h.",),
        buttons=(Button("issue.confirm", "Issue 150", {"site": "oslo"}, Style.POSITIVE), Button("open", "Cancel")),
    )


def _rollout(text: str) -> View:
    return RolloutCard(
        title=f"{text} rollout",
        tone=Tone.ACCENT,
        headline="38 of 150 provisioned, 31 installed, 2 problems",
        bar=bar(38, 150),
        last=f"Last: {text}, Sam 07:58.",
        updated="Updated 07:58.",
        lines=(text,),
        small=("Say *details* to see the open rooms.",),
        buttons=(
            Button("rollout.details", "Details"),
            Button("rollout.remind", "Remind"),
            Button("rollout.pause", "Pause"),
        ),
        subject="19:a1b2@thread.tacv2",
        revision=38,
    )


def _sign_in(text: str) -> View:
    return CodeCard(
        title=f"Sign in {text}",
        device=f"{mac_dashed(MAC)}, asked by you 08:03",
        code=code_groups("H7KQ2MPN"),
        valid="Ends 08:18",
        how="Type microsoft.com/devicelogin yourself. Continue only if you asked for this.",
        facts=(Fact("Account", "room-2.14@contoso.com"),),
        buttons=(
            Button("", "Open page", url="https://microsoft.com/devicelogin"),
            Button("sign_in.again", "New code", {"mac": MAC}),
            Button("sign_in.cancel", "Cancel", {"mac": MAC}),
        ),
        subject=MAC,
        revision=9,
    )
