"""The web app's and the device lab's part of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedside.cli.options import Run


def register(app: typer.Typer) -> None:
    """Add ``web`` and ``lab``."""

    @app.command()
    def web(
        bundles: Annotated[list[Path], typer.Argument(help="Bundles that the app opens.")],
        out: Annotated[Path, typer.Option(help="The folder to write.")],
        trust: Annotated[list[Path] | None, typer.Option(
            help="A public key (bedside.pub) that may sign; repeat for more.")] = None,
    ) -> None:
        """Write the offline web app with its bundles as a folder for any web server."""
        from bedside.cli import app_commands

        app_commands.web(bundles, out, trust)

    @app.command()
    def lab(
        run: Run,
        port: Annotated[int, typer.Option(help="Port for http; https takes the next.")] = 8320,
        address: Annotated[str | None, typer.Option(
            help="This machine's address in the network (default: found out).")] = None,
        share_images: Annotated[bool, typer.Option(
            "--share-images", help="Let evaluated images go, resized and nameless, to phones "
                                   "whose holders agree.")] = False,
        http_only: Annotated[bool, typer.Option(
            "--http-only", help="No certificate: phones measure on one thread.")] = False,
        only: Annotated[str | None, typer.Option(help="Glob over variants.")] = None,
    ) -> None:
        """Measure a run's variants on phones in the same network."""
        from bedside.cli import app_commands

        app_commands.lab(run, port, address, share_images, http_only, only)
