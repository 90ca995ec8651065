import pytest

from pytest_llmops.providers import Route, detect
from tests.patience import least_cpu_s

CHAT = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}'

INPUT = b'{"model": "m", "input": "x"}'

KNOWN = [
    ("https://api.openai.com/v1/chat/completions", "openai", "openai.chat"),
    ("https://eu.api.openai.com/v1/chat/completions", "openai", "openai.chat"),
    ("https://api.openai.com/v1/responses", "openai", "openai.responses"),
    ("https://api.openai.com/v1/completions", "openai", "openai.completions"),
    ("https://api.openai.com/v1/embeddings", "openai", "openai.embeddings"),
    ("https://api.openai.com/v1/moderations", "openai", "openai.moderations"),
    ("https://api.openai.com/v1/images/generations", "openai", "openai.images"),
    ("https://api.openai.com/v1/audio/transcriptions", "openai", "openai.audio"),
    ("https://api.anthropic.com/v1/messages", "anthropic", "anthropic.messages"),
    ("https://api.anthropic.com/v1/messages?beta=true", "anthropic", "anthropic.messages"),
    ("https://api.anthropic.com/v1/complete", "anthropic", "anthropic.complete"),
    ("https://api.cohere.com/v1/chat", "cohere", "cohere.v1.chat"),
    ("https://api.cohere.com/v2/chat", "cohere", "cohere.v2.chat"),
    ("https://api.cohere.ai/v1/embed", "cohere", "cohere.v1.embed"),
    ("https://api.cohere.com/v2/embed", "cohere", "cohere.v2.embed"),
    ("https://api.cohere.com/v1/rerank", "cohere", "cohere.v1.rerank"),
    ("https://api.cohere.com/v2/rerank", "cohere", "cohere.v2.rerank"),
    ("https://api.cohere.com/v1/generate", "cohere", "cohere.v1.generate"),
    ("https://api.cohere.com/compatibility/v1/chat/completions", "cohere", "openai.chat"),
    ("https://api.mistral.ai/v1/chat/completions", "mistral", "openai.chat"),
    ("https://api.mistral.ai/v1/fim/completions", "mistral", "openai.chat"),
    ("https://api.mistral.ai/v1/agents/completions", "mistral", "openai.chat"),
    ("https://api.mistral.ai/v1/embeddings", "mistral", "openai.embeddings"),
    ("https://api.groq.com/openai/v1/chat/completions", "groq", "openai.chat"),
    ("https://api.ai21.com/studio/v1/chat/completions", "ai21", "openai.chat"),
    ("http://localhost:11434/api/chat", "ollama", "ollama"),
    ("http://gpu-box:11434/api/generate", "ollama", "ollama"),
    ("http://localhost:11434/api/embed", "ollama", "ollama.embed"),
    ("http://localhost:11434/api/embeddings", "ollama", "ollama.embed"),
    ("http://localhost:11434/v1/chat/completions", "ollama", "openai.chat"),
    ("https://openrouter.ai/api/v1/chat/completions", "openrouter", "openai.chat"),
    ("https://api.deepseek.com/chat/completions", "deepseek", "openai.chat"),
    ("https://api.deepseek.com/beta/completions", "deepseek", "openai.completions"),
    ("https://api.deepseek.com/anthropic/v1/messages", "deepseek", "anthropic.messages"),
    ("https://api.x.ai/v1/chat/completions", "xai", "openai.chat"),
    ("https://api.together.xyz/v1/chat/completions", "together", "openai.chat"),
    ("https://api.fireworks.ai/inference/v1/chat/completions", "openai_compatible", "openai.chat"),
    ("https://api.perplexity.ai/chat/completions", "openai_compatible", "openai.chat"),
    ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "google", "openai.chat"),
    ("https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1/chat/completions", "bedrock", "openai.chat"),
    ("https://bedrock-mantle.us-east-1.api.aws/v1/responses", "bedrock", "openai.responses"),
    ("https://acme.openai.azure.com/openai/v1/responses?api-version=preview", "azure", "openai.responses"),
    ("https://acme.services.ai.azure.com/models/chat/completions", "azure", "openai.chat"),
    ("https://acme.services.ai.azure.com/anthropic/v1/messages", "azure", "anthropic.messages"),
]


@pytest.mark.parametrize(("url", "provider", "api"), KNOWN)
def test_known_hosts_need_no_body(url: str, provider: str, api: str) -> None:
    assert detect("POST", url) == Route(provider, api)
    assert detect("post", url + ("" if "?" in url else "/"), b"no json") == Route(provider, api)


NAMED_MODELS = [
    (
        "https://acme.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2024-02-01",
        Route("azure", "openai.chat", "my-gpt"),
    ),
    (
        "https://acme.cognitiveservices.azure.com/openai/deployments/emb/embeddings",
        Route("azure", "openai.embeddings", "emb"),
    ),
    (
        "http://gateway.internal/openai/deployments/my-gpt/chat/completions",
        Route("azure", "openai.chat", "my-gpt"),
    ),
    (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse&key=x",
        Route("google", "google.generate_content", "gemini-2.5-pro"),
    ),
    (
        "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1/publishers/google/models/"
        "gemini-2.0-flash:generateContent",
        Route("google", "google.generate_content", "gemini-2.0-flash"),
    ),
    (
        "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/anthropic/models/"
        "claude-sonnet-4-5@20250929:streamRawPredict",
        Route("google", "anthropic.messages", "claude-sonnet-4-5@20250929"),
    ),
    (
        "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/mistralai/models/"
        "mistral-large-2411:rawPredict",
        Route("google", "openai.chat", "mistral-large-2411"),
    ),
    (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-embedding-001:batchEmbedContents",
        Route("google", "google.embed_content", "gemini-embedding-001"),
    ),
    (
        "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models/"
        "text-embedding-005:predict",
        Route("google", "google.predict", "text-embedding-005"),
    ),
    (
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse-stream",
        Route("bedrock", "bedrock.converse", "us.amazon.nova-lite-v1:0"),
    ),
    (
        "https://bedrock-runtime-fips.us-east-1.amazonaws.com/model/anthropic.claude-3-haiku-20240307-v1:0/invoke",
        Route("bedrock", "anthropic.messages", "anthropic.claude-3-haiku-20240307-v1:0"),
    ),
    (
        "https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com/model/meta.llama3-8b-instruct-v1:0"
        "/invoke-with-response-stream",
        Route("bedrock", "bedrock.invoke", "meta.llama3-8b-instruct-v1:0"),
    ),
]


@pytest.mark.parametrize(("url", "route"), NAMED_MODELS)
def test_urls_that_name_the_model(url: str, route: Route) -> None:
    assert detect("POST", url) == route


@pytest.mark.parametrize(
    "url",
    [
        "https://api.anthropic.com/v1/messages/count_tokens",
        "https://api.anthropic.com/v1/messages/batches",
        "https://api.openai.com/v1/files",
        "https://api.openai.com/v1/threads/thread_1/messages",
        "https://api.cohere.com/v1/tokenize",
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:countTokens",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-3-haiku/count-tokens",
        "http://localhost:11434/api/show",
    ],
)
def test_other_traffic_of_known_hosts_is_the_providers_but_no_call(url: str) -> None:
    route = detect("POST", url, b"{}")
    assert route is not None
    assert route.api == f"{route.provider}.other"


def test_what_an_sdk_tells_of_the_application_is_telemetry() -> None:
    traces = detect("POST", "https://api.openai.com/v1/traces/ingest", b"{}")
    assert traces == Route("openai", "openai.telemetry")
    assert traces.telemetry
    assert detect("POST", "https://app.example.com/v1/traces/ingest", b"{}") is None


def test_reading_a_list_of_models_is_no_call() -> None:
    assert detect("GET", "https://api.openai.com/v1/models") == Route("openai", "openai.other")
    assert detect("GET", "https://api.openai.com/v1/responses/resp_1") == Route("openai", "openai.other")
    assert detect("GET", "http://localhost:8000/v1/models") is None


UNKNOWN = [
    ("http://localhost:8000/v1/chat/completions", CHAT, Route("openai_compatible", "openai.chat")),
    ("http://localhost:8000/v1/messages", CHAT, Route("anthropic", "anthropic.messages")),
    ("http://localhost:8000/v1/embeddings", INPUT, Route("openai_compatible", "openai.embeddings")),
    ("http://localhost:8000/v1/responses", INPUT, Route("openai_compatible", "openai.responses")),
    ("http://localhost:9999/api/chat", CHAT, Route("ollama", "ollama")),
    ("http://localhost:9999/api/generate", b'{"model":"m","prompt":"x"}', Route("ollama", "ollama")),
    (
        "https://proxy.example/model/amazon.nova-lite-v1:0/converse",
        b"{}",
        Route("bedrock", "bedrock.converse", "amazon.nova-lite-v1:0"),
    ),
    (
        "https://proxy.example/v1beta/models/gemini-x:generateContent",
        b"{}",
        Route("google", "google.generate_content", "gemini-x"),
    ),
    (
        "http://localhost:8000/v1/audio/transcriptions",
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--',
        Route("openai_compatible", "openai.audio"),
    ),
]


@pytest.mark.parametrize(("url", "body", "route"), UNKNOWN)
def test_unknown_hosts_speak_for_themselves(url: str, body: bytes, route: Route) -> None:
    assert detect("POST", url, body) == route


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("https://shop.example/v1/messages", b'{"to": "+4912345", "body": "your order"}'),
        ("https://shop.example/api/chat", b'{"messages": [], "room": 4}'),
        ("https://survey.example/v1/responses", b'{"answers": [1, 2], "input": 3}'),
        ("https://shop.example/api/generate", b'{"prompt": "invoice"}'),
        ("https://shop.example/v1/generate", b"{}"),
        ("https://shop.example/v1/embeddings", b'"model" "input"'),
        ("https://shop.example/search", CHAT),
        ("https://storage.googleapis.com/upload", CHAT),
        ("https://acme.cognitiveservices.azure.com/vision/v3.2/analyze", CHAT),
        ("https://s3.amazonaws.com/bucket/converse", CHAT),
        ("https://shop.example", b""),
        ("http://[::1", CHAT),
        ("http://host:notaport/v1/chat/completions", CHAT),
        ("", CHAT),
    ],
)
def test_an_applications_own_traffic_is_left_alone(url: str, body: bytes) -> None:
    assert detect("POST", url, body) is None


def test_the_users_hosts_come_first() -> None:
    hosts = {"localhost:4000": "mistral", "llm.corp.example": "anthropic", "*.gpu.example": "openai_compatible"}
    chat = "/v1/chat/completions"
    assert detect("POST", f"http://localhost:4000{chat}", hosts=hosts) == Route("mistral", "openai.chat")
    assert detect("POST", f"http://localhost:4001{chat}", hosts=hosts) == Route("openai_compatible", "openai.chat")
    assert detect("POST", "https://LLM.corp.example/v1/messages", b"?", hosts=hosts) == Route(
        "anthropic", "anthropic.messages"
    )
    assert detect("POST", "https://a.gpu.example/health", hosts=hosts) == Route(
        "openai_compatible", "openai_compatible.other"
    )
    assert detect("POST", "https://gpu.example/health", hosts=hosts) is None
    overruled = detect("POST", f"https://api.openai.com{chat}", hosts={"api.openai.com": "openrouter"})
    assert overruled == Route("openrouter", "openai.chat")


def test_detecting_costs_microseconds_and_parses_no_large_body() -> None:
    large = b'{"model": "m", "input": "' + b"x" * 5_000_000 + b'"}'

    def detecting() -> None:
        for _ in range(200):
            detect("POST", "https://api.openai.com/v1/embeddings", large)
            detect("POST", "https://shop.example/cart", large)

    limit = 400 * 0.0005
    assert least_cpu_s(detecting, enough=limit) < limit
