"""`obverse serve MODEL...`."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obverse.cli.options import Device, Engine
from obverse.cpus import MAX_THREADS
from obverse.errors import RecipeError, UnavailableError, printable

if TYPE_CHECKING:
    from obverse.serving import Limits, Service

TOKEN = "OBVERSE_TOKEN"
Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Run folders or bundles, each as PATH or NAME=PATH; the first answers where a request names none.",
    ),
]
MaxMaps = Annotated[
    int,
    typer.Option(min=0, help="Samples of one request that may have maps of where the model looks; 0 for no maps."),
]
Similar = Annotated[
    int,
    typer.Option(
        min=0,
        help="Number of most similar training pictures to show with each answer, to whoever may ask; needs the run's "
        "data.",
    ),
]


def command(
    models: Models,
    host: Annotated[str, typer.Option(help="Address to listen at; another one than 127.0.0.1 needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 for any free one.")] = 8000,
    ui: Annotated[bool, typer.Option("--ui", help="Serve a page for people at `/`, too.")] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(help=f"File with the token that requests must carry; by default the variable {TOKEN}."),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let others reach the server without a token.")] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Name by which clients call this server, behind a proxy; repeat.")
    ] = None,
    max_batch: Annotated[int, typer.Option(min=1, help="Samples that are answered in one forward pass.")] = 32,
    max_maps: MaxMaps = 8,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Requests of one model that may wait; further ones are refused at once.")
    ] = 64,
    deadline: Annotated[
        float, typer.Option(min=0.1, help="Seconds in which a request is answered, or refused.")
    ] = 10.0,
    max_body: Annotated[int, typer.Option(min=1, help="Size of one request in MiB.")] = 64,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_THREADS, help="Threads of the model; by default one less than processors."),
    ] = None,
    similar: Similar = 0,
    device: Device = "auto",
    engine: Engine = "torch",
) -> None:
    """Answer pictures over HTTP, by three protocols: /v1/predict, Open Inference v2, Hugging Face."""
    _require_packages()
    from obverse.serving import Access, Limits, start_log
    from obverse.serving.http.server import bind, build_server

    start_log()
    token = _token(token_file)
    access = Access.for_address(host, token=token, is_insecure=insecure, hosts=frozenset(allow_host or ()))
    paths = _named_paths(models)
    limits = Limits(
        max_body_bytes=max_body * 2**20,
        max_maps=max_maps,
        max_batch=max_batch,
        max_queue=max_queue,
        deadline_seconds=deadline,
    )
    options = {"device": device, "engine": engine, "notify": _notify}
    with bind(host, port) as listener:
        _set_threads(threads)
        with closing(_service(paths, limits, similar=similar, options=options)) as service:
            service.warm_up()
            server = build_server(service, access, has_page=ui)
            at = f"[{host}]" if ":" in host else host
            names = ", ".join(service.lanes)
            typer.echo(f"Serving {printable(names)} at http://{at}:{listener.getsockname()[1]}")
            server.run([listener])


def _require_packages() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "uvicorn", "python_multipart") if find_spec(name) is None]
    if missing:
        raise UnavailableError(f"serving needs {', '.join(missing)}: pip install 'obverse[serve]'")


def _token(file: Path | None) -> str | None:
    """The token of a file or of the environment; never of an argument, which every user of the machine can read."""
    if file is None:
        return os.environ.get(TOKEN) or None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise RecipeError(f"--token-file {file} cannot be read: {error}") from None


def _named_paths(models: list[str]) -> dict[str, Path]:
    """Name -> path. RecipeError for names that no address can have, and for one name of two models."""
    from obverse.serving import is_model_name

    paths: dict[str, Path] = {}
    for model in models:
        name, equals, path = model.partition("=")
        if not equals or not is_model_name(name):
            name, path = Path(model).resolve().name, model
            if name == "bundle":
                name = Path(model).resolve().parent.name
        if not is_model_name(name):
            raise RecipeError(f"{model}: give the model a name of letters, digits, `.`, `_` and `-`, as NAME={model}")
        if name in paths:
            raise RecipeError(f"two models are called {name}; give one another name, as NAME={path}")
        paths[name] = Path(path)
    return paths


def _set_threads(num: int | None) -> None:
    """Set the threads of the model, before an engine is built that takes as many."""
    import torch

    from obverse.cpus import num_allowed_cpus

    # One core is left for decoding and for the connections.
    torch.set_num_threads(num or max(1, num_allowed_cpus() - 1))


def _service(paths: dict[str, Path], limits: Limits, *, similar: int, options: dict[str, Any]) -> Service:
    """The service of the models at `paths`. similar: number of similar training pictures. options: see `load`."""
    from obverse.inference import load
    from obverse.serving import Service, TrainingPictures

    if not similar:
        return Service({name: load(path, **options) for name, path in paths.items()}, limits)
    from obverse.experiment import load_with_evidence, training_dataset
    from obverse.explain import thumbnails_of

    models = {name: load_with_evidence(path, similar, **options) for name, path in paths.items()}
    datasets = {name: training_dataset(path, models[name].bundle) for name, path in paths.items()}
    training = {
        name: TrainingPictures([sample.id for sample in dataset.samples], thumbnails_of(dataset, {}))
        for name, dataset in datasets.items()
    }
    return Service(models, limits, training=training)


def _notify(line: str) -> None:
    typer.echo(printable(line), err=True)
