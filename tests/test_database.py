"""`db.engine`: which answers stay fresh when something is written."""

from __future__ import annotations

from entrepot.app import App
from entrepot.db.engine import Database


def test_a_write_of_one_topic_leaves_the_others_fresh(app: App) -> None:
    """What was read of another topic, or of none, still holds; a write without topics changes everything."""
    app.db.look()
    version = app.db.version
    with app.db.write(topics=["1:demo"]):
        pass
    assert app.db.version == version + 1
    assert not app.db.is_fresh(version, ["1:demo"])
    assert app.db.is_fresh(version, ["1:other"])
    assert app.db.is_fresh(version)
    assert app.db.is_fresh(app.db.version, ["1:demo"])
    with app.db.write():
        pass
    assert not app.db.is_fresh(version + 1, ["1:other"])
    assert not app.db.is_fresh(version + 1)


def test_what_another_process_wrote_may_be_anything(app: App) -> None:
    """Its versions come without topics, also when a write of ours comes between."""
    app.db.look()
    version = app.db.version
    other = Database(app.db.url)
    with other.write(topics=["1:theirs"]):
        pass
    with app.db.write(topics=["1:ours"]):
        pass
    other.close()
    assert app.db.version == version + 2
    assert not app.db.is_fresh(version, ["1:other"])
    assert app.db.is_fresh(version + 2, ["1:ours"])
