"""Every environment variable that the service reads: its type, default and description.

docs/settings.md is generated from this file: run `make settings` after a change.
"""

from collections.abc import Callable
from datetime import date
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.machine import Share, share
from app.settings import budgets
from app.settings.values import (
    ALL_FORMATS,
    ROOT,
    AbsolutePath,
    AuditDestination,
    ImageFormats,
    MilvusAddress,
    Origins,
    RedisAddress,
    Sha256,
    Threshold,
    WebAddress,
)

# The service does not start if the name of one of these is misspelt.
SECURITY = frozenset(
    {"mongo_db_protocol", "mongo_db_url", "mongo_db_username", "mongo_db_password"}
    | {"mongo_db_collection", "sqlite_path", "vector_keys", "api_keys", "api_keys_file"}
    | {"liveness_service_url", "liveness_token", "liveness_username", "liveness_password"}
    | {"login_match_threshold", "verification_threshold", "max_fpir", "quality"}
    | {"audit_log", "trusted_proxies", "cors_origins"}
)
# Blanks and quotation marks may be part of these values.
EXACT = frozenset({"mongo_db_password", "milvus_token", "liveness_token", "liveness_password"})
# These hold several entries, which white space of any kind separates.
SEVERAL = frozenset({"vector_keys", "api_keys", "cors_origins", "image_formats"})


def _from_machine(
    budget: Callable[[Share, int], float],
    usual: str,
    *,
    le: int,
    ge: int | None = None,
    gt: int | None = None,
) -> Any:  # noqa: ANN401  as pydantic's `Field`
    """Return a field whose default is what this machine allows a worker.

    usual: the default, as docs/settings.md shows it.
    """
    return Field(
        default_factory=lambda values: budget(share(), values["workers"]),
        json_schema_extra={"default": usual},
        le=le,
        ge=ge,
        gt=gt,
    )


class Fields(BaseSettings):
    """One field for each environment variable, which has the same name in capitals.

    The text below a field is its description in docs/settings.md.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    host: str = "0.0.0.0"
    """Address to listen on."""
    port: int = Field(5005, ge=1, le=65535)
    """Port to listen on."""
    workers: int = Field(1, ge=1, le=256)
    """Processes that answer requests. They share one gallery through the database."""
    threads: int = _from_machine(budgets.threads, "8 for each photo", ge=2, le=1024)
    """Requests that a worker answers at once. Logins and enrolments may use seven eighths of them,
    28 of 32; the next one gets a 503. Listings have a quarter more."""
    max_in_flight: int = _from_machine(budgets.slots, "2 for each CPU", ge=1, le=1024)
    """Photos that a worker processes at once. Others wait for up to 2 s. By default 2 to 16, as the
    [container's CPUs and memory](operations.md#cpus-and-memory) allow."""
    drain_s: float = Field(5.0, ge=0, le=25)
    """Seconds for which a worker that is [told to stop](reliability.md#workers-that-come-and-leave)
    still answers new requests: as long as load balancers take to see that `/readyz` is 503."""
    console: bool = True
    """Whether the [console](console.md) is served, at `/console/`. `on` and `off` mean the same."""

    mongo_db_protocol: Literal["mongodb", "mongodb+srv"] = "mongodb"
    """Scheme of the MongoDB connection string."""
    mongo_db_url: str | None = None
    """`host:port/database?options`. Without a database it is `whosthatpokemon`. If unset, employees
    are stored in the SQLite file."""
    mongo_db_username: str | None = None
    """MongoDB user."""
    mongo_db_password: SecretStr | None = None
    """MongoDB password."""
    mongo_db_collection: str = Field("users", min_length=1)
    """Collection of the employees. `<collection>_changes` holds the change log,
    `<collection>_sessions` the open liveness sessions."""
    mongo_db_timeout_s: float = Field(2.0, gt=0, le=60)
    """Seconds within which an operation on MongoDB succeeds or fails. The last half second is
    reserved for finding another server."""
    mongo_db_read_from_secondary: bool = False
    """Let running workers log people in from a secondary while a replica set has no primary. It may
    lag, so a face deleted or replaced moments before may still match."""
    sqlite_path: AbsolutePath = ROOT / "data/employees.db"
    """The SQLite file, used if `MONGO_DB_URL` is unset. Keep it on a local disk, not on a network
    share."""
    vector_keys: SecretStr | None = None
    """32-byte keys in base64 (`openssl rand -base64 32`), separated by white space. The first
    encrypts stored vectors, all of them decrypt. `plain` stands for no encryption. See [key
    rotation](keys.md#vector_keys)."""

    gallery_index: Literal["memory", "milvus"] = "memory"
    """Where the vectors are searched: in the memory of each process, or in
    [Milvus](scaling.md#milvus-past-one-machine) for all."""
    milvus_uri: MilvusAddress | None = None
    """Address of Milvus. A file is for one process, to try things out."""
    milvus_token: SecretStr | None = None
    """`user:password`, or an API key."""
    milvus_collection: str = Field("employees", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,100}$")
    """Prefix of the collections; each model has its own, `<prefix>_<model>`."""
    milvus_timeout_s: float = Field(2.0, gt=0, le=60)
    """Seconds that one Milvus operation may take."""

    face_model: Literal["auto", "vggface2", "dlib", "facenet", "onnx"] = "auto"
    """The [face model](operations.md#face-models). `auto` takes the model of the stored vectors;
    for an empty database `facenet` if `FACENET_WEIGHTS` is set, `onnx` if `ONNX_MODEL` is set, else
    `vggface2` if its weights are present or can be downloaded, else `dlib`."""
    second_face_model: Literal["vggface2", "dlib", "facenet", "onnx"] | None = None
    """A second model, under which people are enrolled, too, [to change from one model to the
    other](changing-the-model.md)."""
    second_model_until: date | None = None
    """The last day (UTC, as in 2027-01-31) on which a login enrols a person under the second
    model. Unset, there is no end."""
    second_model_needs_checks: bool = True
    """Whether such a login must have passed a liveness check or fraud detection."""
    facenet_weights: AbsolutePath | None = None
    """Your own InceptionResnetV1 state dict, for the model `facenet`."""
    facenet_weights_sha256: Sha256 | None = None
    """SHA-256 of `FACENET_WEIGHTS`; set both."""
    onnx_model: AbsolutePath | None = None
    """The JSON file that [describes your own ONNX network](models.md#describe-a-network), for the
    model `onnx`. It runs on the CPU: on a machine with an NVIDIA GPU, set `DEVICE=cpu`."""
    models_dir: AbsolutePath = ROOT / "models/weights"
    """Folder of downloaded weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What runs the networks: OpenVINO on the `cpu`, or PyTorch on an NVIDIA GPU (`cuda`), which
    [takes more packages](operations.md#install). `auto` uses a GPU if there is one and it can."""

    login_match_threshold: Threshold = 0.8
    """α: a probe matches if its distance is below it. `auto` [measures the
    gallery](self-measurement.md) and lowers α from 0.8 as far as `MAX_FPIR` asks."""
    verification_threshold: float = Field(0.8, ge=0, le=1)
    """α of a [verification](api-v2.md#verify): the photo shows that employee if their distance is
    below it. At the default, about 0.1 % of strangers match."""
    max_fpir: float = Field(0.01, ge=0.001, le=0.5)
    """The highest acceptable share of strangers taken for an employee. The log warns if it is
    higher, and `LOGIN_MATCH_THRESHOLD=auto` lowers α until it is not."""
    quality: Literal["off", "standard", "strict"] = "standard"
    """How good a photo must be to be [enrolled](quality.md); `off`: as for a login."""
    liveness_service_url: WebAddress | None = None
    """The liveness service. A user and password in the URL count as `LIVENESS_USERNAME` and
    `LIVENESS_PASSWORD`."""
    liveness_timeout_s: float = Field(5.0, gt=0, le=120)
    """Seconds that a verdict may take, all attempts together."""
    liveness_connect_timeout_s: float = Field(1.0, gt=0, le=120)
    """Seconds that connecting to the liveness service may take."""
    liveness_read_timeout_s: float = Field(4.0, gt=0, le=120)
    """Seconds that the liveness service may be silent."""
    liveness_retries: int = Field(2, ge=0, le=10)
    """Further attempts if the service failed quickly and decided nothing: connection refused or
    reset, 502, 503, 504."""
    liveness_token: SecretStr | None = None
    """Bearer token for the liveness service."""
    liveness_username: str | None = None
    """User for basic authentication, instead of a token."""
    liveness_password: SecretStr | None = None
    """Password for basic authentication."""
    replay_window_s: float = Field(86_400, gt=0, le=31_536_000)
    """Seconds for which [fraud detection](fraud.md) remembers the photo of a login."""

    api_keys: SecretStr | None = None
    """[Who may call](access.md#api-keys): entries `id:role,role:sha256`, separated by white space.
    Without this and `API_KEYS_FILE`, anyone may do anything."""
    api_keys_file: AbsolutePath | None = None
    """A file of such entries instead, with `#` for comments. It is read again when it changes."""
    cors_origins: Origins | None = None
    """Origins whose browser pages may call, like `https://frontend.example`, separated by white
    space; `*` allows any. Cookies are never allowed."""
    trusted_proxies: int = Field(0, ge=0, le=10)
    """[Proxies in front](access.md#proxies) that append to `X-Forwarded-For`. With too few, all
    callers share one address; with too many, callers can choose theirs."""
    address_requests_per_minute: int = Field(6000, ge=0)
    """Requests that an address (of IPv6, a /64) may make in a minute; 0: no limit."""
    key_requests_per_minute: int = Field(6000, ge=0)
    """Requests that an API key may make in a minute; 0: no limit."""
    login_failures: int = Field(10, ge=0)
    """Failed logins in a row before an address that a trusted proxy names has to
    [wait](access.md#failed-logins); 0: no limit."""
    redis_url: RedisAddress | None = None
    """Lets workers and pods count requests and failed logins together. If it is unset or Redis is
    away, each worker counts on its own."""
    audit_log: AuditDestination | None = None
    """The [audit log](access.md#audit-log): a file on a local disk, or standard output. If unset,
    none is kept."""

    max_body_mb: float = _from_machine(budgets.body_mb, "`64`", gt=0, le=1024)
    """Largest request body, in MB. Less by default in
    [little memory](operations.md#cpus-and-memory)."""
    max_received_mb: float = Field(
        default_factory=lambda values: max(
            budgets.received_mb(share(), values["workers"]), values["max_body_mb"]
        ),
        gt=0,
        le=65536,
        json_schema_extra={"default": "`96`"},
    )
    """MB of request bodies that a worker holds at once, from their first byte to the answer; as
    much again of answers. Beyond that it answers 503. At least `MAX_BODY_MB`, which raises the
    default; less by default in [little memory](operations.md#cpus-and-memory)."""
    receive_timeout_s: float = Field(30.0, gt=0, le=600)
    """Seconds that receiving a request may take, and sending its answer."""
    max_vectors_per_employee: int = Field(100, ge=1, le=10_000)
    """Pictures or feature vectors in one enrolment."""
    max_json_depth: int = Field(8, ge=3, le=100)
    """Nested levels of lists and objects in a request body."""
    max_image_megapixels: float = _from_machine(budgets.megapixels, "`51`", gt=0, le=1000)
    """Largest picture that is decoded; half of it for WebP, at most 4.2 for a frame. All pictures
    being decoded at one moment share the same budget. Less by default in
    [little memory](operations.md#cpus-and-memory)."""
    image_formats: ImageFormats = ALL_FORMATS
    """Picture formats to accept, separated by white space."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is logged."""
    log_format: Literal["text", "json"] = "text"
    """Format of the log lines."""
    otel_exporter_otlp_endpoint: WebAddress | None = None
    """OpenTelemetry collector that takes [traces](monitoring.md#traces) over HTTP, usually on port
    4318. If unset, none are sent."""
