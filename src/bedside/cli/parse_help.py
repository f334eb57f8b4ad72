"""The groups under which ``bedside --help`` shows the commands, in reading order."""

from __future__ import annotations

import typer

PANELS: dict[str, tuple[str, ...]] = {
    "Start here": ("run", "demo", "doctor", "list", "show"),
    "Data": ("import", "review", "deid", "audit", "split", "leakage"),
    "One stage at a time": ("train", "convert", "quantize", "build", "evaluate", "analyse",
                            "report"),
    "Look closer": ("calibrate", "search", "robustness", "bench", "lint"),
    "Decide": ("recommend", "gate", "diff", "card"),
    "To the device": ("keygen", "bundle", "verify", "install", "installed", "predict", "serve",
                      "web", "lab"),
}
OTHER = "More"


def group(app: typer.Typer) -> None:
    """Put each registered command into its panel; one that no panel names goes to the last."""
    order = {name: (position, panel)
             for position, (panel, name) in enumerate(
                 (panel, name) for panel, names in PANELS.items() for name in names)}
    last = (len(order), OTHER)

    def name_of(command: typer.models.CommandInfo) -> str:
        callback = command.callback
        return command.name or (callback.__name__.replace("_", "-") if callback else "")

    for command in app.registered_commands:
        command.rich_help_panel = order.get(name_of(command), last)[1]
    app.registered_commands.sort(key=lambda c: order.get(name_of(c), last)[0])
