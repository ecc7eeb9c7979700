"""What mkdocs does beside its plugins: pages of the site from files that must stand at the root of the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT_PAGES = {"CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md"}
"""File at the root -> page of the site."""

LINK = re.compile(r"\[([^]]+)\]\(([^)#\s:]+)((?:#[^)\s]*)?)\)")


def page_of(text: str) -> str:
    """Return a root file's text with links as the site has them; what is not part of the site keeps its words alone."""

    def link(match: re.Match[str]) -> str:
        words, target, anchor = match.groups()
        if target in ROOT_PAGES:
            return f"[{words}]({ROOT_PAGES[target]}{anchor})"
        if target.startswith("docs/"):
            return f"[{words}]({target.removeprefix('docs/')}{anchor})"
        return words

    return LINK.sub(link, text)


def on_files(files: Any, config: Any) -> Any:
    """Add the root pages to the site."""
    from mkdocs.structure.files import File

    root = Path(config.config_file_path).parent
    for source, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=page_of((root / source).read_text("utf-8"))))
    return files
