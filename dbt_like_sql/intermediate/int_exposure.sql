-- Draws of each item over all runs of an arm, against what the arm's curriculum promises.
-- grain: study, arm, item_id; items neither drawn nor promised are left out. num_draws is over all runs, draws_per_run
-- and expected_draws are per run of the full budget, ratio = draws_per_run / expected_draws. A promised item that was
-- never drawn has 0 draws. ratio is null where nothing is promised. Runs that were stopped early draw less than promised.
with runs as (
    select study, arm, count(*) as num_runs
    from stg_runs
    group by study, arm
),
observed as (
    select study, arm, item_id, min(family_id) as family_id, sum(num_draws) as num_draws
    from stg_trace_counts
    group by study, arm, item_id
),
expected as (
    select study, arm, item_id, min(family_id) as family_id, sum(expected_draws) as expected_draws
    from expected_exposure
    group by study, arm, item_id
),
items as (
    select
        study,
        arm,
        item_id,
        coalesce(observed.family_id, expected.family_id) as family_id,
        coalesce(observed.num_draws, 0) as num_draws,
        expected.expected_draws
    from observed
    full join expected using (study, arm, item_id)
)
select
    study,
    arm,
    items.item_id,
    items.family_id,
    runs.num_runs,
    items.num_draws,
    items.num_draws / runs.num_runs as draws_per_run,
    items.expected_draws,
    case
        when items.expected_draws > 0 then items.num_draws / runs.num_runs / items.expected_draws
    end as ratio
from items
join runs using (study, arm)
where items.num_draws > 0 or items.expected_draws > 0
order by study, arm, items.item_id
