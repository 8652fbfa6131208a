"""Two records by Microsoft's own client, queued or streamed: its arguments are the address, a token and the way."""
import io
import sys
import uuid

from azure.kusto.data import KustoConnectionStringBuilder
from azure.kusto.data.data_format import DataFormat, IngestionMappingKind
from azure.kusto.ingest import (
    IngestionProperties,
    KustoStreamingIngestClient,
    QueuedIngestClient,
    ReportLevel,
    StreamDescriptor,
)

uri, token, way = sys.argv[1:]
properties = IngestionProperties(
    "logsdb",
    "applogs",
    DataFormat.JSON,
    ingestion_mapping_kind=IngestionMappingKind.JSON,
    ingestion_mapping_reference="applogs_map",
    additional_tags=["edge"],
    report_level=ReportLevel.FailuresAndSuccesses,
)
text = b'{"ts":"2026-11-20T17:00:00Z","msg":"one"}\n{"ts":"2026-11-20T17:00:01Z","msg":"two"}\n'
connection = KustoConnectionStringBuilder.with_token_provider(uri, lambda: token)
client = (QueuedIngestClient if way == "queued" else KustoStreamingIngestClient)(connection)
print(client.ingest_from_stream(StreamDescriptor(io.BytesIO(text), source_id=uuid.UUID(int=7)), properties))
