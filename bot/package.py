"""`python app.py package`: the Teams app package, a zip of manifest, languages and icons, checked before."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bot import setting_values as read
from bot.handlers import all_routes
from bot.icons import NotAnIcon, read_icon
from bot.operations import project_version
from bot.routing import Route, Router, Where
from bot.setting_values import GUID
from bot.settings import DOTENV, REQUIRED, BadConfiguration, gather
from provisioning.texts import N_, _

FOLDER: Final = Path(__file__).parents[1] / "manifest"
MANIFEST: Final = "manifest.json"
ICONS: Final = {"color": ("color.png", 192), "outline": ("outline.png", 32)}  # pixels
NEEDED: Final = {
    "CLIENT_ID": REQUIRED["CLIENT_ID"],
    "PUBLIC_URL": N_("Give the https address under which Teams and devices reach this service."),
    "ORGANISATION": REQUIRED["ORGANISATION"],
}
TEXT_LIMITS: Final = {  # characters, where in the manifest
    ("name", "short"): 30,
    ("name", "full"): 100,
    ("description", "short"): 80,
    ("description", "full"): 4000,
    ("developer", "name"): 32,
}
COMMANDS: Final = 12  # per list
COMMAND_LIMITS: Final = {"title": 32, "description": 128}
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)  # the same content makes the same bytes
_PLACEHOLDER: Final = re.compile(r"\$\{\{(\w+)\}\}")
Json = dict[str, Any]


def package(environ: Mapping[str, str], out: Path | None, env_file: Path | None = DOTENV, folder: Path = FOLDER) -> int:
    """Writes the package and says where; 2 with one line per fault, and then nothing is written."""
    try:
        files = contents(_values(environ, env_file), folder)
    except BadConfiguration as bad:
        for fault in bad.faults:
            sys.stderr.write(f"{fault}\n")
        return 2
    out = out or Path("dist") / f"provisioning-bot-{project_version()}.zip"
    out.parent.mkdir(parents=True, exist_ok=True)
    write(files, out)
    sys.stdout.write(_("{path}: upload it in the Teams admin centre, or in Teams under Apps.", path=out) + "\n")
    return 0


def _values(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    """What the placeholders stand for. Errors: `BadConfiguration`. No secret is needed to make a package."""
    given = gather(environ, env_file)
    found = {name: given[name].value for name in NEEDED if name in given and given[name].source != "default"}
    faults = [_("{name}: is missing. {cure}", name=name, cure=_(NEEDED[name])) for name in NEEDED if name not in found]
    checks = {"CLIENT_ID": _client_id, "PUBLIC_URL": _public_host, "ORGANISATION": read.organisation}
    for name, text in found.items():
        try:
            found[name] = checks[name](text)
        except ValueError as fault:
            faults.append(f"{name}: {fault}")
    if faults:
        raise BadConfiguration(faults)
    return {**found, "PUBLIC_HOST": found["PUBLIC_URL"]}


def _client_id(text: str) -> str:
    if not GUID.fullmatch(text):
        raise ValueError(_('"{text}" is not an Entra id. {cure}', text=text, cure=_(REQUIRED["CLIENT_ID"])))
    return text.lower()


def _public_host(text: str) -> str:
    url = urlsplit(read.url(text))
    if url.scheme != "https" or url.path.strip("/") or not read.is_host(url.hostname or ""):
        raise ValueError(_("Teams takes an https address without a path. Write https://provisioning.contoso.com."))
    return url.netloc.lower()


def contents(values: Mapping[str, str], folder: Path = FOLDER) -> dict[str, bytes]:
    """Its files by name. Errors: `BadConfiguration` with every fault of the manifest, its languages and the icons."""
    manifest = _read(folder / MANIFEST, values)
    spoken = {name: _read(folder / name, values) for name in language_files(manifest)}
    icons = {name: (folder / name).read_bytes() for name, _size in ICONS.values()}
    faults = [*manifest_faults(manifest), *icon_faults(icons), *command_faults(manifest, all_routes())]
    faults += [fault for name, texts in spoken.items() for fault in language_faults(name, texts, manifest)]
    if faults:
        raise BadConfiguration(faults)
    written = {
        name: json.dumps(part, ensure_ascii=False, indent=2) for name, part in {MANIFEST: manifest, **spoken}.items()
    }
    return {**{name: f"{text}\n".encode() for name, text in written.items()}, **icons}


def _read(path: Path, values: Mapping[str, str]) -> Json:
    found: Json = filled(json.loads(path.read_text(encoding="utf-8")), values)
    return found


def filled(part: Any, values: Mapping[str, str]) -> Any:
    """The same JSON with its placeholders filled; a value can never become more than part of its string."""
    if isinstance(part, dict):
        return {key: filled(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [filled(item, values) for item in part]
    if isinstance(part, str):
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), part)
    return part


def write(files: Mapping[str, bytes], out: Path) -> None:
    """A zip with exactly these files at its root, the same bytes each time."""
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name])


# ------------------------------------------------------------------ what Teams takes


def manifest_faults(manifest: Json) -> Iterator[str]:
    """Every limit that the manifest passes, one line each."""
    for (part, name), limit in TEXT_LIMITS.items():
        text = str(manifest.get(part, {}).get(name, ""))
        if not 1 <= len(text) <= limit:
            yield _(
                "{name}: {n} characters, Teams takes 1 to {limit}.", name=f"{part}.{name}", n=len(text), limit=limit
            )
    if manifest.get("version") != project_version():
        yield _("version: {there} is not the project's {here}.", there=manifest.get("version"), here=project_version())
    for name in sorted(set(_PLACEHOLDER.findall(json.dumps(manifest)))):
        yield _("{name}: nothing fills this placeholder.", name=name)
    for where, commands in command_lists(manifest):
        if not 1 <= len(commands) <= COMMANDS:
            yield _("{where}: {n} commands, Teams takes 1 to {limit}.", where=where, n=len(commands), limit=COMMANDS)
        for command in commands:
            for name, limit in COMMAND_LIMITS.items():
                yield from _length_faults(f"{where}, {command['title'][:40]}: {name}", command[name], limit)

    for command in search_commands(manifest):
        for part in (command, *command["parameters"]):
            for name, limit in COMMAND_LIMITS.items():
                yield from _length_faults(f"{command['id'][:40]}, {part['title'][:40]}: {name}", part[name], limit)


def _length_faults(name: str, text: str, limit: int) -> Iterator[str]:
    if not 1 <= len(text) <= limit:
        yield _("{name}: {n} characters, Teams takes 1 to {limit}.", name=name, n=len(text), limit=limit)


def command_lists(manifest: Json) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """(scopes, commands) of each list."""
    for bot in manifest.get("bots", ()):
        for listed in bot.get("commandLists", ()):
            yield ", ".join(listed["scopes"]), listed["commands"]


def search_commands(manifest: Json) -> Iterator[Json]:
    """What the compose box offers."""
    for extension in manifest.get("composeExtensions", ()):
        yield from extension["commands"]


def language_files(manifest: Json) -> tuple[str, ...]:
    """The files beside the manifest that say its texts in other languages."""
    return tuple(each["file"] for each in manifest.get("localizationInfo", {}).get("additionalLanguages", ()))


def language_faults(name: str, texts: Mapping[str, str], manifest: Json) -> Iterator[str]:
    """Every text that people read is said in this language, within the limits; and nothing that is not there."""
    wanted = dict(translatable(manifest))
    said = {key: text for key, text in texts.items() if key != "$schema"}
    yield from (_("{name}: {key} is missing.", name=name, key=key) for key in wanted if key not in said)
    yield from (_("{name}: {key} is not in the manifest.", name=name, key=key) for key in said if key not in wanted)
    for key, limit in wanted.items():
        if key in said:
            yield from _length_faults(f"{name}, {key}", said[key], limit)


def translatable(manifest: Json) -> Iterator[tuple[str, int]]:
    """(place, limit) of what people read. The commands themselves stay: they are what the bot understands."""
    for (part, name), limit in TEXT_LIMITS.items():
        if part != "developer":
            yield f"{part}.{name}", limit
    for i, bot in enumerate(manifest.get("bots", ())):
        for j, listed in enumerate(bot.get("commandLists", ())):
            for k, _command in enumerate(listed["commands"]):
                yield f"bots[{i}].commandLists[{j}].commands[{k}].description", COMMAND_LIMITS["description"]
    for i, extension in enumerate(manifest.get("composeExtensions", ())):
        for j, command in enumerate(extension["commands"]):
            place = f"composeExtensions[{i}].commands[{j}]"
            for name, limit in COMMAND_LIMITS.items():
                yield f"{place}.{name}", limit
                for k, _parameter in enumerate(command["parameters"]):
                    yield f"{place}.parameters[{k}].{name}", limit


def command_faults(manifest: Json, routes: Router) -> Iterator[str]:
    """A listed command that the bot would not understand there."""
    known = {command.words: route for route in routes.routes.values() for command in route.commands}
    for where, commands in command_lists(manifest):
        for command in commands:
            route = known.get(command["title"])
            if route is None or not _works(route, where):
                yield _("{where}: the bot does not know the command {title}.", where=where, title=command["title"])


def _works(route: Route, where: str) -> bool:
    return route.shown and not (route.where is Where.CHANNEL and "personal" in where)


def icon_faults(icons: Mapping[str, bytes]) -> Iterator[str]:
    for kind, (name, size) in ICONS.items():
        try:
            icon = read_icon(icons[name])
        except NotAnIcon as fault:
            yield f"{name}: {fault}"
            continue
        if (icon.width, icon.height) != (size, size):
            measures = f"{icon.width} × {icon.height}"
            yield _("{name}: {measures}, Teams takes {size} × {size}.", name=name, measures=measures, size=size)
        if kind == "outline":
            yield from (f"{name}: {fault}" for fault in icon.outline_faults())
