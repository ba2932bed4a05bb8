-- In how many seeds of an arm a series shows an event within the same 10 steps: a count without a null, not evidence.
-- grain: study, arm, probe_set, component, layer, metric, bin_start. Bins [bin_start, bin_start + 10) in optimiser
-- steps; bins in which no seed has an event have no row. share_seeds: of the arm's analysed runs, 0 to 1.
with runs as (
    select study, arm, probe_set, count(distinct seed) as num_runs
    from stg_detections
    group by study, arm, probe_set
),
support as (
    select
        study,
        arm,
        probe_set,
        component,
        layer,
        metric,
        min(metric_group) as metric_group,
        step // 10 * 10 as bin_start,
        count(distinct seed) as num_seeds,
        count(*) as num_events
    from stg_events
    group by study, arm, probe_set, component, layer, metric, step // 10 * 10
)
select
    study,
    arm,
    probe_set,
    support.component,
    support.layer,
    support.metric,
    support.metric_group,
    support.bin_start,
    support.num_events,
    support.num_seeds,
    runs.num_runs,
    support.num_seeds / runs.num_runs as share_seeds
from support
join runs using (study, arm, probe_set)
order by study, arm, probe_set, support.component, support.layer, support.metric, support.bin_start
