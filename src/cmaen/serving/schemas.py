"""Schemas of requests and responses for OpenAPI; :mod:`cmaen.results` makes the answers themselves."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from cmaen.serving.problems import MEDIA_TYPE

LONGEST_SCHEME = 100
TOO_MANY = "too_long"
"""Pydantic's error type for a list or a text that exceeds its limit."""


def _whole(value: Any) -> Any:
    """Convert integral floats such as 3.0, because JSON has only one type of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class EmbedBody(BaseModel):
    """Images as base64, and how to read them."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    images: list[str] = Field(min_length=1, description="Content of each image file, as base64 or as a data URI.")
    detect: bool | None = Field(
        None, description="Whether to detect faces first. If false, each image is treated as a face crop."
    )


class PredictBody(EmbedBody):
    """Images as base64, and the options of the prediction."""

    explain: bool | None = Field(
        None, description="Whether to add an explanation to each face: the places that its answer depends on."
    )
    top_k: Annotated[int | None, BeforeValidator(_whole)] = Field(
        None, ge=1, description="Number of the most probable emotions of the largest face to list under top."
    )
    scheme: str | None = Field(
        None,
        max_length=LONGEST_SCHEME,
        description="Label scheme: perceived (what people see) or fer2013 (that data set's label). "
        "Default: the server's.",
    )
    contempt: bool | None = Field(
        None, description="Whether contempt may be answered, as an eighth emotion. Only the scheme perceived has it."
    )


def limit_images(schema: type[EmbedBody], most: int) -> type[EmbedBody]:
    """Return the schema with a maximum number of images; further images are not parsed."""
    images = Field(min_length=1, max_length=most, description=schema.model_fields["images"].description)
    return create_model(schema.__name__, __base__=schema, images=(list[str], images))


class Face(BaseModel):
    """One face; coordinates are in pixels of the image."""

    box: list[float] = Field(min_length=4, max_length=4, description="Face box: x, y, width, height.")
    landmarks: list[list[float]] = Field(
        description="Landmarks as x, y: left eye, right eye, nose, left and right corner of the mouth."
    )
    predicted_emotion: str
    confidence: float = Field(
        description="Calibrated probability that the answer is right, that is, that most people would agree."
    )
    probabilities: dict[str, float] = Field(
        description="Probability of each emotion. Under perceived: the expected share of people who would choose it."
    )
    doubts: list[str] | None = Field(
        None, description="Possible reasons for a confidence below 0.5, such as a small or blurred face."
    )
    explanation: str | None = Field(
        None,
        description="Map of how much the answer's probability falls if a place of the face is covered, for the 16 "
        "largest faces if explain is true: a data URI of a square, transparent PNG to be laid over the crop.",
    )
    crop: str | None = Field(None, description="Crop of the face if explain is true: a data URI of a square JPEG.")


class Answer(BaseModel):
    """Answer for one image; emotion, confidence and probabilities are those of the largest face."""

    path: str = Field(description="Name of the file, as the client gave it.")
    status: Literal["ok", "no_face", "error"]
    error: str | None = Field(description="Reason why there is no answer.")
    scheme: str | None = Field(
        description="Label scheme of the answer: perceived, fer2013 or own (the model's own labels)."
    )
    predicted_emotion: str | None
    confidence: float | None
    probabilities: dict[str, float] | None
    faces: list[Face]
    top: list[tuple[str, float]] | None = Field(
        None, description="Most probable emotions with their probabilities, if top_k is given."
    )


class Embedding(BaseModel):
    """Features of the largest face in one image."""

    path: str = Field(description="Name of the file, as the client gave it.")
    status: Literal["ok", "no_face", "error"]
    error: str | None = Field(description="Reason why there is no answer.")
    features: list[float] | None = Field(description="Features of the largest face, of the same length for every face.")


class Labels(BaseModel):
    """Emotions of a label scheme, in the order of all answers."""

    labels: list[str]
    colours: dict[str, str] = Field(description="Colour of each label, as #rrggbb.")
    scheme: str | None = Field(description="Label scheme of these labels.")
    schemes: list[str] = Field(description="Label schemes of the model.")


class ProblemDetail(BaseModel):
    """Reason why a request is not answered (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


_PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetail"}}}}
_REASONS = {
    400: "The request cannot be read",
    401: "The API key is missing or wrong",
    403: "A page of another host may not use this server",
    408: "The request took too long to arrive",
    413: "The request is too large",
    415: "The body is neither a form nor JSON",
    422: "The request is invalid",
    429: "The client sends too many requests; see Retry-After",
    501: "The model of this server does not support this",
    503: "The server is busy or not ready; see Retry-After",
    504: "The answer took too long",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """List the error responses of a route."""
    return {status: {"description": _REASONS[status], **_PROBLEM} for status in statuses}


def request_body(schema: type[EmbedBody], labels: int, schemes: list[str]) -> dict[str, Any]:
    """Describe the body of a route for images, with this number of labels and these schemes; the route reads it."""
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
