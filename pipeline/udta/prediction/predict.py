"""`udta.predict`: one pass of the backbone over new images serves any number of adapters."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from udta._console.progress import Progress, announce, watched
from udta._files.adapter_document import adapter_file
from udta._files.locks import one_writer_of
from udta._files.paths import file_sha256, local_path
from udta._files.table_file import check_table_name
from udta._machine.cores import side_by_side
from udta.errors import Problems
from udta.extraction import Meter, OnError, feature_batches
from udta.images import Manifest, read_unlabelled
from udta.prediction._answers import Answers
from udta.prediction._passing_lines import PassingLines, Stream
from udta.prediction._predict_report import PredictReport
from udta.prediction._row_bytes import row_bytes
from udta.prediction._shared_pass import SharedPass, load_adapters, shared_pass
from udta.prediction._table_lines import Lines, as_columns
from udta.prediction._unfinished_table import UnfinishedTable


@one_writer_of("out")
@watched("images")
def predict(
    images: str | Path | Sequence[str | Path],
    *,
    adapters: Sequence[str | Path],
    out: str | Path | Stream | None = None,
    top_k: int | None = None,
    probabilities: bool = False,
    views: int = 1,
    backbone: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    on_error: OnError = "fail",
    progress: Progress = None,  # noqa: ARG001  # `watched` uses it
) -> PredictReport:
    """Predict what every adapter was trained for of every image: a table `path, adapter, label, probability`.

    Of several labels there is a line for each that is above its threshold, and where none is one without label, with the highest
    probability. Of numbers there is a line for each target, its name as `label`, and a column `value` more.

    Lines are written as they come, to a hidden file beside `out` that takes its place when all are done. Memory holds no more
    than some batches; the same call goes on where one before was stopped or killed, and ends with the same bytes.

    Args:
        images: an image file, a folder of images at any depth, a CSV/Parquet file with a column `path`, a `.txt` of one path a
            line, `name:folder` of a built-in dataset, or a list of such. In the table, paths are relative to a folder or
            table that is given alone, else as they are given.
        adapters: run folders or adapter files that were trained on the same backbone.
        out: `.csv` or `.parquet`; None keeps the table in memory, see `PredictReport.table`; a stream is given CSV as it comes.
        top_k: a line for each of the `top_k` likeliest classes or labels instead, with a column `rank`, from 1.
        probabilities: a column `probability:NAME` more for every class or label.
        views: of each image how many are made, and what an adapter says of them averaged: the evaluation transform, then seeded
            augmentations as in the store that the adapter was trained from.
        backbone: where to find the backbone; by default as it was named when the features were extracted, where that is a model
            of torchvision or timm. A factory of one's own has to be named, because a file may not have code imported.
        weights: where its weights are; by default where they were at extraction.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        on_error: `fail` at the first image that cannot be used, also because its features or scores are not finite, or `skip` it:
            it gets a line without label.
        progress: whether a bar is shown, or what is called instead with what is counted, how many are done, of how many, and a
            word more; by default a bar in a notebook alone.

    Returns:
        The table, where it was written, and which images have no answer.

    Raises:
        AdapterError: an adapter file that cannot be used, or adapters that need different features, or views.
        BackboneError, WeightsError: the backbone cannot be built, is not frozen, or its weights are gone or others.
        ConfigError: no adapter, nobody says where the backbone is, a wrong device or number, or `out` is no table.
        DataError: a folder or list of images that cannot be used.
        ImageError, FeatureError: an image that cannot be read, or with features or scores that are not finite; not with `skip`.
        OutputBusyError: another process is writing `out`.

    Example:
        >>> udta.predict("new_photos", adapters=["runs/photos-udta"], out="predictions.csv").images
        3
    """
    problems = Problems()
    target: Path | Stream | None = problems.collect(local_path, "out", out) if isinstance(out, str | Path) else out
    if isinstance(target, Path):
        problems.collect(check_table_name, "out", target)
    for name, number in (("top_k", top_k), ("views", views)):
        if number is not None and number < 1:
            problems.add(f"{name} is {number}: give 1 or more")
    problems.raise_any()
    # In this order: a backbone takes seconds to build.
    loaded, manifest = load_adapters(adapters), read_unlabelled(images, on_error=on_error)
    shared = shared_pass(loaded, backbone=backbone, weights=weights, device=device, views=views)
    lines = Lines.asked(shared.headers.values(), top_k, probabilities)
    with _table(target, lines, shared, manifest, on_error) as table:
        resumed, meter = table.done, Meter()
        batches = feature_batches(
            shared.source(manifest, on_error), range(resumed, len(manifest)), range(shared.views.count), meter
        )
        answers = Answers(shared, lines, manifest, on_error)
        for lines_of_batch in side_by_side(answers.of, batches, shared.device):
            table.add(*lines_of_batch)
            announce("images", table.done, len(manifest), str(meter))
        table.finish()
    return PredictReport(
        str(target) if isinstance(target, Path) else None,
        len(manifest) - len(table.skipped),
        list(shared.adapters),
        table.skipped,
        resumed,
        lines.columns,
        as_columns(lines.columns, table.lines) if isinstance(table, PassingLines) and target is None else None,
    )


def _table(
    target: Path | Stream | None, lines: Lines, shared: SharedPass, manifest: Manifest, on_error: OnError
) -> UnfinishedTable | PassingLines:
    """Where lines go."""
    if not isinstance(target, Path):
        return PassingLines(lines.columns, target)
    job = {
        "udta": version("udta"),
        # By name and content: names stand in the table.
        "adapters": [[path, file_sha256(adapter_file(Path(path)))] for path in shared.adapters],
        "views": shared.views.count,
        "columns": list(lines.columns),
        "top_k": lines.top_k,
        # Features of another device differ in their last bits.
        "device": shared.device.type,
    }
    return UnfinishedTable(target, row_bytes(target, lines.columns), job, manifest, may_skip=on_error == "skip")
