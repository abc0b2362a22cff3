"""``ipvlab grade``: a folder of answers to exercises becomes one grade sheet."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("grade")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--sheet",
    "sheet_file",
    metavar="FILE.md",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the sheet as Markdown; without --sheet and --csv it is printed.",
)
@click.option(
    "--csv",
    "csv_file",
    metavar="FILE.csv",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one line for each answer.",
)
@click.option(
    "--exercises",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="The exercises as handed out.  [default: docs/lessons/exercises]",
)
@click.option(
    "--datapath",
    type=click.Choice(["auto", "kernel", "bpf", "sim"]),
    default="sim",
    show_default=True,
    help="What carries the packets; sim runs nothing that students wrote.",
)
def command(
    folder: Path, sheet_file: Path | None, csv_file: Path | None, exercises: Path | None, datapath: str
) -> int:
    """Grade the answers in FOLDER: one folder or one *.ipvlab.yaml for each student.

    Exit codes: 0 when every answer has its grade, whatever it is; 4 when a
    question was left unanswered (`unobserved`, `unsupported`).
    """
    from ipvlab.report.grade_sheet import format_csv, format_sheet
    from ipvlab.report.json_report import write_text_whole
    from ipvlab.run.doctor import enter_own_namespaces
    from ipvlab.run.grade import grade, load_exercises
    from ipvlab.run.runner import run_prepared

    for file in (sheet_file, csv_file):
        if file is not None and not file.resolve().parent.is_dir():
            raise click.ClickException(f"cannot write {file}: there is no folder {file.parent}")
    handed_out = load_exercises(exercises)
    enter_own_namespaces(datapath)
    answers = list(grade(folder, handed_out, lambda prepared: run_prepared(prepared, datapath)))
    sheet = format_sheet(answers, datapath)
    if sheet_file is not None:
        write_text_whole(sheet_file, sheet)
    if csv_file is not None:
        write_text_whole(csv_file, format_csv(answers))
    if sheet_file is None and csv_file is None:
        click.echo(sheet, nl=False)
    else:
        full = sum(answer.is_full for answer in answers)
        click.echo(f"{len(answers)} answers, {full} with full marks")
    return 0 if all(answer.mark is None or answer.mark.is_proved for answer in answers) else 4
