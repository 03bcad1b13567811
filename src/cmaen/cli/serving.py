"""``cmaen serve``: the pipeline behind HTTP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from cmaen.cli.console import SchemeName, extra, log
from cmaen.cli.options import FaceOptions, takes
from cmaen.inference.spec import PipelineSpec
from cmaen.resources import usable_cores
from cmaen.serving.settings import MIB, SERVED, Limits, Settings

_RAY = "ray"
"""As an engine: ONNX Runtime in the replicas of a cluster."""
_MILLION = 1e6
_BODIES = 8
"""How many of the largest bodies are held at the same time, at least."""
_USUAL = Limits()


@dataclass(frozen=True, kw_only=True)
class ServeOptions(FaceOptions):
    """The options of ``cmaen serve``."""

    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with the model; with ray: replicas.")] = 1
    engine: Annotated[
        str, typer.Option(help="onnx, openvino or torch; ray: ONNX Runtime in replicas, on many machines.")
    ] = SERVED.engine
    scheme: SchemeName = SERVED.scheme
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="CMAEN_API_KEY", help="API key that clients must send. Prefer the variable: others can see options."
        ),
    ] = None
    rate: Annotated[float, typer.Option(min=0, help="Requests a second allowed to each client; 0: no limit.")] = (
        _USUAL.rate
    )
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Site whose pages may use the service, like https://example.org; repeatable."),
    ] = None
    hostname: Annotated[
        list[str] | None,
        typer.Option(help="Host name that clients may use, without a port; repeatable. On loopback: localhost."),
    ] = None
    proxies: Annotated[str | None, typer.Option(help="Comma-separated addresses or networks of trusted proxies.")] = (
        None
    )
    max_images: Annotated[int, typer.Option(min=1, help="Most images in a request.")] = _USUAL.images
    max_megabytes: Annotated[float, typer.Option(min=0.01, help="Largest body of a request.")] = _USUAL.body_bytes / MIB
    max_megapixels: Annotated[float, typer.Option(min=0.01, help="Largest image.")] = _USUAL.pixels / _MILLION
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to receive a request, then to answer it.")] = (
        _USUAL.seconds
    )
    queue: Annotated[int, typer.Option(min=1, help="Images taken at a time; the next are refused.")] = _USUAL.queue
    max_wait: Annotated[float, typer.Option(min=0.01, help="Seconds; images that would wait longer are refused.")] = (
        _USUAL.wait
    )
    live: Annotated[int, typer.Option(min=0, help="Cameras followed at a time.")] = _USUAL.live_sockets

    def to_spec(self) -> PipelineSpec:
        """The pipeline of one process, which shares the cores with the others."""
        return replace(
            super().to_spec(),
            engine=SERVED.engine if self.engine == _RAY else self.engine,
            scheme=self.scheme,
            workers=max(1, usable_cores() // self.workers),
        )

    def to_limits(self) -> Limits:
        """How much each process takes on."""
        body_bytes = int(self.max_megabytes * MIB)
        return Limits(
            body_bytes=body_bytes,
            held_bytes=max(_BODIES * body_bytes, _USUAL.held_bytes),
            images=self.max_images,
            pixels=int(self.max_megapixels * _MILLION),
            seconds=self.timeout,
            queue=self.queue,
            wait=self.max_wait,
            rate=self.rate,
            live_sockets=self.live,
        )


@takes(ServeOptions)
def serve(options: ServeOptions) -> None:
    """Serve predictions, and a page to try them, over HTTP."""
    log(options.verbose, lasting=True)
    with extra("serving", "serve"):
        from cmaen.serving.local import serve as serve_locally
        from cmaen.serving.safety import LOOPBACK
        from cmaen.serving.service import build_predictor

    host, port, workers, names = options.host, options.port, options.workers, tuple(options.hostname or ())
    settings = Settings(
        pipeline=options.to_spec().fetch(),  # once, for all processes
        api_key=options.api_key,
        origins=tuple(options.origin or ()),
        hosts=(*names, *LOOPBACK) if names or host in LOOPBACK else (),
        load_first=workers > 1 or options.engine == _RAY,
        limits=options.to_limits(),
    )
    build_predictor(settings)  # what is wrong with it is said here, in one line
    shown_host = f"[{host}]" if ":" in host else host
    typer.echo(f"http://{shown_host}:{port}", err=True)
    if options.engine == _RAY:
        with extra("the engine ray", "cluster"):
            from cmaen.serving.distributed import serve as serve_on_ray
        serve_on_ray(settings, host=host, port=port, replicas=workers)
    else:
        serve_locally(
            settings, host=host, port=port, workers=workers, proxies=options.proxies, access_log=options.verbose
        )
