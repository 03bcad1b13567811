"""What goes in and out as OpenAPI tells it; the answers themselves are made by :mod:`cmaen.types`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from cmaen.serving.problems import MEDIA_TYPE

LONGEST_SCHEME = 100
TOO_MANY = "too_long"
"""Pydantic's word for a list, or a text, with more than its limit."""


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 3.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class EmbedBody(BaseModel):
    """Images as base64."""

    model_config = ConfigDict(extra="forbid", strict=True)

    images: list[str] = Field(min_length=1, description="The content of each image file, as base64 or as a data URI.")
    detect: bool | None = Field(None, description="Find the faces first; false: each image is a face crop already.")


class PredictBody(EmbedBody):
    """Images as base64, and what is asked of them."""

    explain: bool | None = Field(None, description="Add to each face what its answer depends on.")
    top_k: Annotated[int | None, BeforeValidator(_whole)] = Field(
        None, ge=1, description="Add the most probable emotions of the largest face."
    )
    scheme: str | None = Field(
        None, max_length=LONGEST_SCHEME, description="Label scheme: perceived or fer2013; default: the server's."
    )
    contempt: bool | None = Field(
        None, description="Answer contempt as an eighth emotion, which the scheme perceived alone knows."
    )


def limit_images(schema: type[EmbedBody], most: int) -> type[EmbedBody]:
    """The schema for so many images at most; what is beyond them is not looked at."""
    images = Field(min_length=1, max_length=most, description=schema.model_fields["images"].description)
    return create_model(schema.__name__, __base__=schema, images=(list[str], images))


class Face(BaseModel):
    """One face, in pixels of its image."""

    box: list[float] = Field(min_length=4, max_length=4, description="x, y, width, height")
    landmarks: list[list[float]] = Field(description="Left eye, right eye, nose, left and right mouth corner: x, y.")
    predicted_emotion: str
    confidence: float = Field(description="How likely it is that the answer is right: that most people would agree.")
    probabilities: dict[str, float] = Field(description="Under perceived: the share of people who would say so.")
    doubts: list[str] | None = Field(
        None, description="Where the confidence is below 0.5: what is wrong with the picture of the face."
    )
    explanation: str | None = Field(
        None,
        description="With explain, for the 16 largest faces: where the answer falls when the face is covered there; "
        "a square PNG with transparency, to be laid over the crop, as a data URI.",
    )
    crop: str | None = Field(None, description="With explain: the face cut out, as a square JPEG; a data URI.")


class Answer(BaseModel):
    """One image; emotion, confidence and probabilities are the largest face's."""

    path: str = Field(description="The file's name, as the client gave it.")
    status: Literal["ok", "no_face", "error"]
    error: str | None = Field(description="Why there is no answer.")
    scheme: str | None = Field(description="Label scheme of the answer: perceived, fer2013 or own.")
    predicted_emotion: str | None
    confidence: float | None
    probabilities: dict[str, float] | None
    faces: list[Face]
    top: list[tuple[str, float]] | None = Field(None, description="With top_k: emotion and probability.")


class Embedding(BaseModel):
    """The features of one image's largest face."""

    path: str = Field(description="The file's name, as the client gave it.")
    status: Literal["ok", "no_face", "error"]
    error: str | None = Field(description="Why there is no answer.")
    features: list[float] | None = Field(description="As many for every face.")


class Labels(BaseModel):
    """The emotions, in the order of every answer."""

    labels: list[str]
    colours: dict[str, str] = Field(description="#rrggbb")
    scheme: str | None = Field(description="Label scheme of answers to requests that name none.")
    schemes: list[str] = Field(description="Label schemes that the model has.")


class ProblemDetail(BaseModel):
    """Why there is no answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


_PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetail"}}}}
_REASONS = {
    400: "The request cannot be read",
    401: "The API key is missing or wrong",
    403: "The page of another host may not ask",
    408: "The request took too long to arrive",
    413: "The request is too large",
    415: "The body is neither a form nor JSON",
    422: "The request is not as it should be",
    429: "Too many requests of this client; see Retry-After",
    501: "The server lacks what this needs",
    503: "The server is busy or not ready; see Retry-After",
    504: "The answer took too long",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The responses of a route that are problems."""
    return {status: {"description": _REASONS[status], **_PROBLEM} for status in statuses}


def request_body(schema: type[EmbedBody], labels: int, schemes: list[str]) -> dict[str, Any]:
    """What a route for images takes, for so many labels and these schemes; the route reads it."""
    body = schema.model_json_schema()
    form = {
        "type": "object",
        "required": ["images"],
        "properties": {
            "images": {
                "type": "array",
                "minItems": 1,
                "maxItems": body["properties"]["images"]["maxItems"],
                "items": {"type": "string", "format": "binary"},
            }
        },
        "additionalProperties": False,
    }
    if issubclass(schema, PredictBody):
        body["properties"]["top_k"]["anyOf"][0]["maximum"] = labels
        body["properties"]["scheme"]["anyOf"][0]["enum"] = schemes
    content = {"multipart/form-data": {"schema": form}, "application/json": {"schema": body}}
    return {"requestBody": {"required": True, "content": content}}
