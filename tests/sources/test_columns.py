from pathlib import Path

from multiscale.sources.columns import describe_columns


def test_documentation_lists_the_columns_of_the_schema():
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert describe_columns() in text, "put the text of multiscale.sources.columns.describe_columns() into docs/data.md"
