"""The IO managers inside Dagster: partitions in, one frame or handles out, and refusals that say what is missing."""

import dagster as dg
import numpy as np
import polars as pl
import pytest

from io_managers.handles import handle_io_manager
from io_managers.keys import arm_seed, seed_number
from io_managers.provenance import column_schema, origin_tags
from io_managers.store import Store
from io_managers.tables import table_io_manager
from squiggle_assets.schemas.base import dtypes
from squiggle_assets.schemas.handles import CheckOutcome, Handle, HandleDraft, Product

ARMS = dg.StaticPartitionsDefinition(["iid", "ramp"])
SEEDS = dg.DynamicPartitionsDefinition(name="study_seed")
RUNS = dg.MultiPartitionsDefinition({"seed": SEEDS, "arm": ARMS})
BY_ARM = dg.MultiToSingleDimensionPartitionMapping("arm")


def upstream(name, mapping=BY_ARM):
    return dg.AssetIn(["study", name], partition_mapping=mapping)


class Stand:
    """A study of one arm dimension and one seed dimension over a store, with what its assets saw."""

    def __init__(self, root, model, make_origin):
        self.store, self.seen = Store(root), []
        self.instance = dg.DagsterInstance.ephemeral()
        self.make_origin = make_origin
        self.checks = ()
        self.value = None
        tables = dict.fromkeys(["points", "by_arm", "all_arms", "wrong"], model)
        self.resources = {"tables": table_io_manager(root, tables), "handles": handle_io_manager(root)}
        self.assets = self._run_assets() + self._arm_assets()

    def origin(self, name, arm=None, seed=None):
        object_id = f"{name.replace('_', '')}.{arm}.{seed}".lower()
        return self.make_origin(asset=f"study/{name}", arm=arm, seed=seed, object_id=object_id)

    def rows(self, arm, seed):
        return pl.DataFrame({"arm": [arm] * 2, "seed": [seed] * 2, "value": [float(seed), seed + 0.5]})

    def _run_assets(self):
        stand = self

        @dg.asset(key_prefix="study", partitions_def=RUNS, io_manager_key="tables")
        def points(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Product]:
            arm, seed = arm_seed(RUNS, context.partition_key)
            origin = stand.origin("points", arm, seed)
            value = stand.rows(arm, seed) if stand.value is None else stand.value
            product = Product(value=value, origin=origin, checks=stand.checks, metadata={"loss": 1.5})
            return dg.MaterializeResult(value=product, tags=origin_tags(origin))

        @dg.asset(key_prefix="study", partitions_def=RUNS, io_manager_key="handles")
        def adapter(context: dg.AssetExecutionContext) -> Product:
            arm, seed = arm_seed(RUNS, context.partition_key)
            return Product(
                value=HandleDraft(tensors={"weights": {"w": np.full(2, seed)}}),
                origin=stand.origin("adapter", arm, seed),
            )

        @dg.asset(
            key_prefix="study", partitions_def=RUNS, io_manager_key="tables", ins={"adapter": upstream("adapter", None)}
        )
        def wrong(context: dg.AssetExecutionContext, adapter: Handle) -> Product:
            arm, seed = arm_seed(RUNS, context.partition_key)
            assert int(adapter.tensors("weights")["w"][0]) == seed
            return Product(value=stand.rows(arm, seed), origin=stand.origin("wrong", "iid", 999))

        return [points, adapter, wrong]

    def _arm_assets(self):
        stand = self

        @dg.asset(
            key_prefix="study",
            partitions_def=ARMS,
            io_manager_key="tables",
            ins={"points": upstream("points"), "adapter": upstream("adapter")},
        )
        def by_arm(context: dg.AssetExecutionContext, points: pl.LazyFrame, adapter: dict[str, Handle]) -> Product:
            stand.seen.append((type(points), points.collect(), list(adapter)))
            return Product(value=points.collect(), origin=stand.origin("by_arm", context.partition_key))

        @dg.asset(key_prefix="study", io_manager_key="tables", ins={"by_arm": dg.AssetIn(["study", "by_arm"])})
        def all_arms(by_arm: pl.DataFrame) -> Product:
            stand.seen.append((type(by_arm), by_arm))
            return Product(value=by_arm, origin=stand.origin("all_arms"))

        @dg.asset(
            key_prefix="study", partitions_def=ARMS, io_manager_key="handles", ins={"adapter": upstream("adapter")}
        )
        def one_of_many(adapter: Handle) -> Product:
            raise AssertionError("never reached")

        return [by_arm, all_arms, one_of_many]

    def make(self, name, arm=None, seed=None):
        key = arm if seed is None else dg.MultiPartitionKey({"arm": arm, "seed": str(seed)})
        return dg.materialize(
            self.assets,
            selection=[dg.AssetKey(["study", name])],
            partition_key=key,
            instance=self.instance,
            resources=self.resources,
            raise_on_error=False,
        )

    def seeds(self, *seeds):
        self.instance.add_dynamic_partitions("study_seed", [str(seed) for seed in seeds])


@pytest.fixture
def stand(tmp_path, model, make_origin):
    return Stand(tmp_path / "data", model, make_origin)


def message(result):
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    return error.message + (error.cause.message if error.cause else "")


def test_partitions_come_as_one_frame_by_seed_as_a_number_whatever_order_they_were_made_in(stand):
    stand.seeds(10, 2, 1)
    for seed in (10, 2, 1):
        assert stand.make("points", "ramp", seed).success
        assert stand.make("adapter", "ramp", seed).success
    assert stand.make("by_arm", "ramp").success
    kind, frame, handles = stand.seen[0]
    assert kind is pl.LazyFrame
    assert frame["seed"].to_list() == [1, 1, 2, 2, 10, 10]
    assert handles == ["ramp|1", "ramp|2", "ramp|10"]


@pytest.mark.parametrize("seeds", [(), (7,), (7, 8)])
def test_zero_one_and_many_partitions_come_as_the_same_types(stand, seeds, model):
    stand.seeds(*seeds)
    for seed in seeds:
        stand.make("points", "iid", seed)
        stand.make("adapter", "iid", seed)
    assert stand.make("by_arm", "iid").success
    kind, frame, handles = stand.seen[0]
    assert kind is pl.LazyFrame
    assert dict(frame.schema) == dtypes(model)
    assert frame.height == 2 * len(seeds)
    assert handles == [f"iid|{seed}" for seed in seeds]


def test_every_missing_partition_is_named_and_the_rest_is_not_used(stand):
    stand.seeds(1, 2, 10, 11)
    stand.make("points", "ramp", 2)
    for seed in (1, 2, 10, 11):
        stand.make("adapter", "ramp", seed)
    result = stand.make("by_arm", "ramp")
    assert not result.success
    assert "study/points: 3 of 4 partitions were never made: ramp|1, ramp|10, ramp|11" in message(result)
    assert stand.seen == []


def test_an_unpartitioned_asset_gets_all_arms_in_order(stand):
    stand.seeds(5)
    for arm in ("ramp", "iid"):
        stand.make("points", arm, 5)
        stand.make("adapter", arm, 5)
        assert stand.make("by_arm", arm).success
    assert stand.make("all_arms").success
    kind, frame = stand.seen[-1]
    assert kind is pl.DataFrame
    assert frame["arm"].to_list() == ["iid", "iid", "ramp", "ramp"]
    assert stand.store.pointer("study/all_arms").partition == "_"


def test_the_materialisation_says_what_was_stored_and_where_it_comes_from(stand):
    stand.seeds(3)
    result = stand.make("points", "ramp", 3)
    (event,) = result.asset_materializations_for_node("study__points")
    pointer = stand.store.pointer("study/points", "ramp", 3)
    found = {name: value.value for name, value in event.metadata.items()}
    assert found["dagster/row_count"] == 2
    assert found["sha256"] == pointer.sha256
    assert found["path"] == str(stand.store.path(pointer.ref))
    assert found["inputs"] == {"study/up/ramp/2": "00"}
    assert found["loss"] == 1.5
    assert found["object_id"] == "points.ramp.3"
    assert event.tags["dagster/data_version"] == pointer.sha256
    assert event.tags["squiggle/config_hash"] == "c0ffee"
    assert event.tags["squiggle/object"] == "points.ramp.3"
    columns = {column.name: column for column in found["dagster/column_schema"].columns}
    assert columns["value"].description == "what was measured [nats]"
    assert columns["value"].constraints.nullable


def test_the_column_schema_names_types_constraints_and_key(model):
    schema = column_schema(model)
    assert [(column.name, column.type) for column in schema.columns] == [
        ("arm", "String"),
        ("seed", "Int64"),
        ("value", "Float64"),
    ]
    assert schema.columns[1].constraints.other == ["greater_than_or_equal_to(0)"]
    assert schema.constraints.other == ["unique: arm, seed, value"]


def test_a_frame_that_does_not_fit_fails_the_step_and_materialises_nothing(stand):
    stand.seeds(3)
    stand.value = pl.DataFrame({"arm": ["ramp"], "seed": [-1], "value": [0.0]})
    result = stand.make("points", "ramp", 3)
    assert not result.success
    assert "greater_than_or_equal_to(0) (1 times)" in message(result)
    assert stand.store.pointer("study/points", "ramp", 3) is None
    assert not list(stand.store.root.rglob("*.parquet"))


def test_a_later_run_of_the_downstream_is_refused_after_a_failed_blocking_check(stand):
    stand.seeds(3)
    stand.checks = (CheckOutcome(name="held_out", passed=False, blocking=True, description="leak", num_failing=4),)
    stand.make("points", "ramp", 3)
    stand.make("adapter", "ramp", 3)
    result = stand.make("by_arm", "ramp")
    assert not result.success
    assert "study/points ramp|3 failed a blocking check" in message(result)
    assert "held_out (leak; 4 failing)" in message(result)
    stand.checks = ()
    stand.make("points", "ramp", 3)
    assert stand.make("by_arm", "ramp").success


def test_a_damaged_input_fails_the_step_and_names_the_file(stand):
    stand.seeds(3, 4)
    for seed in (3, 4):
        stand.make("points", "ramp", seed)
        stand.make("adapter", "ramp", seed)
        path = stand.store.path(stand.store.pointer("study/points", "ramp", seed).ref)
        path.write_bytes(path.read_bytes()[:-1])
    told = message(stand.make("by_arm", "ramp"))
    assert "study/points ramp|3" in told
    assert "study/points ramp|4" in told


def test_one_handle_is_not_taken_from_many(stand):
    stand.seeds(3, 4)
    for seed in (3, 4):
        stand.make("adapter", "ramp", seed)
    assert "annotated Handle but maps to 2 partitions" in message(stand.make("one_of_many", "ramp"))


def test_a_product_whose_origin_names_another_partition_is_refused(stand):
    stand.seeds(3)
    stand.make("adapter", "ramp", 3)
    assert "origin names study/wrong iid|999" in message(stand.make("wrong", "ramp", 3))


def test_a_product_without_a_value_points_at_what_is_stored(stand):
    stand.seeds(3)
    origin = stand.origin("points", "ramp", 3)

    @dg.asset(key_prefix="study", partitions_def=RUNS, io_manager_key="tables", name="points")
    def reused() -> Product:
        return Product(value=None, origin=origin)

    def make_reused():
        key = dg.MultiPartitionKey({"arm": "ramp", "seed": "3"})
        return dg.materialize(
            [reused], partition_key=key, instance=stand.instance, resources=stand.resources, raise_on_error=False
        )

    assert "not there" in message(make_reused())
    stand.make("points", "ramp", 3)
    (stand.store.root / "assets/study/points/ramp/3.json").unlink()
    assert make_reused().success
    assert stand.store.read(stand.store.pointer("study/points", "ramp", 3)).height == 2


def test_an_orphan_of_an_ended_run_may_not_publish(stand):
    stand.seeds(3)

    @dg.asset(key_prefix="study", partitions_def=RUNS, io_manager_key="tables", name="points")
    def orphan(context: dg.AssetExecutionContext) -> Product:
        context.instance.report_run_failed(context.run)
        return Product(value=stand.rows("ramp", 3), origin=stand.origin("points", "ramp", 3))

    key = dg.MultiPartitionKey({"arm": "ramp", "seed": "3"})
    result = dg.materialize(
        [orphan], partition_key=key, instance=stand.instance, resources=stand.resources, raise_on_error=False
    )
    assert "is an orphan" in message(result)
    assert stand.store.pointer("study/points", "ramp", 3) is None


@pytest.mark.parametrize("text", ["007", "+1", " 1", "1.0", "", "-1", "x", "١"])
def test_a_seed_has_one_spelling(text):
    with pytest.raises(ValueError, match="whole number"):
        seed_number(text)


def test_other_dimensions_than_arm_and_seed_are_refused():
    other = dg.MultiPartitionsDefinition({"arm": ARMS, "model": dg.StaticPartitionsDefinition(["m"])})
    with pytest.raises(ValueError, match="got dimensions"):
        arm_seed(other, dg.MultiPartitionKey({"arm": "iid", "model": "m"}))
