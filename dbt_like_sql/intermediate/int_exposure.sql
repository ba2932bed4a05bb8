-- Draws of each item over all runs of an arm, against what the arm's curriculum promises.
-- grain: study, arm, item_id. Items promised but never drawn have 0 draws; items drawn without a promise (planted ones)
-- have null expected_draws and ratio. expected_draws is per run. ratio = draws per run / expected draws per run.
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
order by study, arm, items.item_id
