"""Every `bash` block of every document, as it stands, in order, against a live service."""

from __future__ import annotations

import pytest

from tests.documents.blocks import Block, blocks, documents
from tests.documents.conftest import Reader

BLOCKS = [block for document in documents() for block in blocks(document, "bash")]


@pytest.mark.parametrize(
    ("reader", "block"),
    [pytest.param(block.document, block, id=block.id) for block in BLOCKS],
    indirect=["reader"],
    scope="module",  # one reader a document
)
def test_what_the_document_tells_to_type_works(reader: Reader, block: Block) -> None:
    """With exit status 0; an error of HTTP is one too."""
    reader.enter(block.section)
    reader.checkout.run(block.text)
