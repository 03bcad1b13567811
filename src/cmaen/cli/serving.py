"""``cmaen serve``: the pipeline behind HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from cmaen.cli.console import (
    CheckpointName,
    DetectorName,
    DetectorSide,
    MinFace,
    MinScore,
    SchemeName,
    Verbose,
    extra,
    log,
)

_MIB = 2**20


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with the model; with ray: replicas.")] = 1,
    checkpoint: CheckpointName = None,
    engine: Annotated[
        str, typer.Option(help="onnx, openvino or torch; ray: ONNX Runtime in replicas, on many machines.")
    ] = "onnx",
    scheme: SchemeName = None,
    detector: DetectorName = "yunet",
    detector_side: DetectorSide = None,
    min_score: MinScore = None,
    min_face: MinFace = 0.0,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="CMAEN_API_KEY", help="API key that clients must send. Prefer the variable: others can see options."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Requests a second allowed to each client; 0: no limit.")] = 0.0,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Site whose pages may use the service, like https://example.org; repeatable."),
    ] = None,
    hostname: Annotated[
        list[str] | None,
        typer.Option(help="Host name that clients may use, without a port; repeatable. On loopback: localhost."),
    ] = None,
    proxies: Annotated[
        str | None, typer.Option(help="Comma-separated addresses or networks of trusted proxies.")
    ] = None,
    max_images: Annotated[int, typer.Option(min=1, help="Of a request.")] = 32,
    max_megabytes: Annotated[float, typer.Option(min=0.01, help="Of a request's body.")] = 32,
    max_megapixels: Annotated[float, typer.Option(min=0.01, help="Of an image.")] = 50,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to receive a request, then to answer it.")] = 30,
    queue: Annotated[int, typer.Option(min=1, help="Images taken at a time; the next are refused.")] = 128,
    max_wait: Annotated[float, typer.Option(min=0.01, help="Seconds; images that would wait longer are refused.")] = 3,
    live: Annotated[int, typer.Option(min=0, help="Cameras followed at a time.")] = 8,
    verbose: Verbose = False,
) -> None:
    """Serve predictions, and a page to try them, over HTTP."""
    log(verbose, lasting=True)
    with extra("serving", "serve"):
        from cmaen.serving.local import serve as serve_locally
        from cmaen.serving.safety import LOOPBACK
        from cmaen.serving.service import build_predictor
        from cmaen.serving.settings import Limits, Settings
    from cmaen.checkpoints import Checkpoint
    from cmaen.inference.detectors import DetectorOptions
    from cmaen.resources import usable_cores

    body_bytes = int(max_megabytes * _MIB)
    limits = Limits(
        body_bytes=body_bytes,
        held_bytes=max(8 * body_bytes, Limits().held_bytes),
        images=max_images,
        pixels=int(max_megapixels * 1e6),
        seconds=timeout,
        queue=queue,
        wait=max_wait,
        rate=rate,
        live_sockets=live,
    )
    opened = Checkpoint.open(checkpoint)
    settings = Settings(
        checkpoint=None if opened.is_shipped else opened.folder,  # fetched once, for all processes
        detector=detector,
        options=DetectorOptions(max_side=detector_side, min_score=min_score, min_face=min_face),
        engine="onnx" if engine == "ray" else engine,
        scheme=scheme,
        cores=max(1, usable_cores() // workers),
        api_key=api_key,
        origins=tuple(origin or ()),
        hosts=(*(hostname or ()), *LOOPBACK) if hostname or host in LOOPBACK else (),
        load_first=workers > 1 or engine == "ray",
        limits=limits,
    )
    build_predictor(settings)  # what is wrong with it is said here, in one line
    shown_host = f"[{host}]" if ":" in host else host
    typer.echo(f"http://{shown_host}:{port}", err=True)
    if engine == "ray":
        with extra("the engine ray", "cluster"):
            from cmaen.serving.distributed import serve as serve_on_ray
        serve_on_ray(settings, host=host, port=port, replicas=workers)
    else:
        serve_locally(settings, host=host, port=port, workers=workers, proxies=proxies, access_log=verbose)
