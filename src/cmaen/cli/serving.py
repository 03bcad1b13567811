"""``cmaen serve``: the pipeline behind HTTP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from cmaen import __version__
from cmaen.cli.console import SchemeName, escape_for_terminal, extra, log
from cmaen.cli.options import MILLION, RAY, FaceOptions, takes
from cmaen.cli.panels import ACCESS, ADDRESS, LIMITS, MODEL
from cmaen.inference.spec import PipelineSpec
from cmaen.resources import usable_cores
from cmaen.serving.settings import MIB, SERVED, Limits, Settings
from cmaen.web.notice import NOTICE

_BODIES = 8
"""Minimum number of request bodies of the largest size that may be held in memory at the same time."""
_USUAL = Limits()


@dataclass(frozen=True, kw_only=True)
class ServeOptions(FaceOptions):
    """Options of ``cmaen serve``."""

    host: Annotated[
        str,
        typer.Option(help="Address to listen on; 0.0.0.0 for all addresses of this machine.", rich_help_panel=ADDRESS),
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.", rich_help_panel=ADDRESS)] = 8000
    hostname: Annotated[
        list[str] | None,
        typer.Option(
            help="Allowed Host header, without a port (repeatable). Default on 127.0.0.1: localhost.",
            rich_help_panel=ADDRESS,
        ),
    ] = None
    proxies: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated trusted proxies or networks (X-Forwarded-For is honoured).", rich_help_panel=ADDRESS
        ),
    ] = None
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="CMAEN_API_KEY",
            help="API key that clients must send. Prefer the environment variable: other users can see command lines.",
            rich_help_panel=ACCESS,
        ),
    ] = None
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Origin allowed by CORS, such as https://example.org (repeatable).", rich_help_panel=ACCESS),
    ] = None
    rate: Annotated[
        float, typer.Option(min=0, help="Requests per second for each client. 0: no limit.", rich_help_panel=ACCESS)
    ] = _USUAL.rate
    notice: Annotated[
        str,
        typer.Option(
            help="Notice on the page, and in the header CMAEN-Notice, that emotions are inferred here: one line.",
            rich_help_panel=ACCESS,
        ),
    ] = NOTICE
    engine: Annotated[
        str,
        typer.Option(
            help="Inference engine: onnx, openvino or torch; ray: ONNX Runtime in replicas on many machines.",
            rich_help_panel=MODEL,
        ),
    ] = SERVED.engine
    scheme: SchemeName = SERVED.scheme
    workers: Annotated[
        int,
        typer.Option(
            min=1, help="Number of processes, each with its own model; with ray: replicas.", rich_help_panel=LIMITS
        ),
    ] = 1
    max_images: Annotated[int, typer.Option(min=1, help="Maximum images per request.", rich_help_panel=LIMITS)] = (
        _USUAL.images
    )
    max_megabytes: Annotated[
        float, typer.Option(min=0.01, help="Maximum request size, in MiB.", rich_help_panel=LIMITS)
    ] = _USUAL.body_bytes / MIB
    max_megapixels: Annotated[
        float, typer.Option(min=0.01, help="Maximum image size, in megapixels.", rich_help_panel=LIMITS)
    ] = _USUAL.pixels / MILLION
    timeout: Annotated[
        float,
        typer.Option(min=0.1, help="Seconds to receive a request, and again to answer it.", rich_help_panel=LIMITS),
    ] = _USUAL.seconds
    queue: Annotated[
        int, typer.Option(min=1, help="Queue length, in images; further images get status 503.", rich_help_panel=LIMITS)
    ] = _USUAL.queue
    max_wait: Annotated[
        float,
        typer.Option(
            min=0.01,
            help="Longest wait in the queue, in seconds; images that would wait longer get status 503.",
            rich_help_panel=LIMITS,
        ),
    ] = _USUAL.wait
    live: Annotated[int, typer.Option(min=0, help="Maximum concurrent live sessions.", rich_help_panel=LIMITS)] = (
        _USUAL.live_sockets
    )

    def to_spec(self) -> PipelineSpec:
        """Describe the pipeline of one process, which shares the cores with the others."""
        return replace(
            super().to_spec(),
            engine=SERVED.engine if self.engine == RAY else self.engine,
            scheme=self.scheme,
            workers=max(1, usable_cores() // self.workers),
        )

    def to_limits(self) -> Limits:
        """Return the limits of each process."""
        body_bytes = int(self.max_megabytes * MIB)
        return Limits(
            body_bytes=body_bytes,
            held_bytes=max(_BODIES * body_bytes, _USUAL.held_bytes),
            images=self.max_images,
            pixels=int(self.max_megapixels * MILLION),
            seconds=self.timeout,
            queue=self.queue,
            wait=self.max_wait,
            rate=self.rate,
            live_sockets=self.live,
        )


@takes(ServeOptions)
def serve(options: ServeOptions) -> None:
    """Start a web page and an HTTP API."""
    log(options.verbose, lasting=True)
    with extra("serving", "serve"):
        from cmaen.serving.binding import bind
        from cmaen.serving.local import serve as serve_locally
        from cmaen.serving.safety import LOOPBACK
        from cmaen.serving.service import build_predictor

    host, port, workers, names = options.host, options.port, options.workers, tuple(options.hostname or ())
    listening = bind(host, port)  # before the model is loaded, and before an address is shown
    settings = Settings(
        pipeline=options.to_spec().fetch(),  # once, for all processes
        api_key=options.api_key,
        origins=tuple(options.origin or ()),
        hosts=(*names, *LOOPBACK) if names or host in LOOPBACK else (),
        load_first=workers > 1 or options.engine == RAY,
        notice=options.notice,
        limits=options.to_limits(),
    )
    build_predictor(settings)  # reports a faulty model here, in one line
    _show_addresses(options, settings)
    if options.engine == RAY:
        with extra("the engine ray", "cluster"):
            from cmaen.serving.distributed import serve as serve_on_ray
        listening.close()
        serve_on_ray(settings, host=host, port=port, replicas=workers)
    else:
        serve_locally(
            settings, listening=listening, workers=workers, proxies=options.proxies, access_log=options.verbose
        )


def _show_addresses(options: ServeOptions, settings: Settings) -> None:
    """Show version, model, addresses and how to stop the server; warn if everyone may use it."""
    from cmaen.serving.binding import is_everywhere, list_addresses

    addresses = list_addresses(options.host, options.port)
    card = settings.pipeline.open_checkpoint().card
    lines = [
        f"CMAEN {__version__} with the model {card.name}",
        *(f"{'page:' if number == 0 else ''}\t{address}" for number, address in enumerate(addresses)),
        f"API:\t{addresses[0]}/openapi.json",
        "Ctrl+C stops it.",
    ]
    typer.echo(escape_for_terminal("\n".join(lines)).expandtabs(6), err=True)
    if is_everywhere(options.host) and options.api_key is None:
        warning = "warning: anyone who can reach this machine can use it; set CMAEN_API_KEY to require a key"
        typer.secho(warning, fg="yellow", err=True)
