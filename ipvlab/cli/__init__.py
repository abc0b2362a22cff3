"""The command line: one module for each verb, loaded when it is named; no logic of its own."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

import ipvlab
from ipvlab.errors import IpvlabError

#: verb -> what ``ipvlab --help`` says of it, so that no verb is loaded to be listed.
VERBS = {
    "run": "Build scenarios, probe them, and print the verdicts.",
    "grade": "Grade a folder of answers to exercises; needs no privileges.",
    "plan": "Print what a scenario would build; needs no privileges.",
    "explain": "Say why a probe ends as it does, hop by hop, with the rules; needs no privileges.",
    "up": "Build a scenario's lab and leave it up.",
    "down": "End a lab that is up.",
    "ps": "List the labs that are up, and their nodes.",
    "exec": "Run a program in a node of a lab that is up.",
    "shell": "Open a shell in a node of a lab that is up.",
    "docker": "Give a Docker command to a host of a lab that is up.",
    "capture": "Show or write the packets of an interface of a lab that is up.",
    "graph": "Print a scenario as a Mermaid graph; needs no privileges.",
    "conformance": "Hold implementations of ipvlan against the suite, and write reports.",
    "report": "Write reports from results of earlier runs.",
    "doctor": "Say which datapaths work here, and what fixes the others.",
    "schema": "Print the JSON Schema of scenario files.",
}


class _VerbGroup(click.Group):
    """A group that imports a verb's module when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"ipvlab.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_VerbGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(ipvlab.__version__, prog_name="ipvlab")
def group() -> None:
    """Test labs for IPvlan networking as Docker uses it.

    Exit codes: 2 bad usage or an invalid file (nothing runs); else the first
    that holds of 5 (environment, or a verdict `error`), 1 (`fail`),
    4 (`unobserved`), 3 (`unsupported` or incomplete), 0. 130 when interrupted.
    `exec`, `shell` and `docker` end as the command does, and with 125 where ipvlab itself fails.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of the contract."""
    sys.exit(run_command_line(arguments))


def run_command_line(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors go to standard error."""
    try:
        code = group.main(args=arguments, prog_name="ipvlab", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        print("interrupted; everything built is gone", file=sys.stderr)
        return 130
    except IpvlabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`ipvlab schema | head`); Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception:  # noqa: BLE001 - the last line of defence: a defect must not exit as a `fail`
        # A defect of ipvlab. Python's own exit code 1 would read as a verdict `fail`.
        traceback.print_exc()
        print("this is a defect of ipvlab; nothing it built is left", file=sys.stderr)
        return IpvlabError.exit_code
    return code if isinstance(code, int) else 0
