-- Of the places (series and 10-step bin) where the runs of an arm show events, how many every run shows.
-- grain: study, arm, probe_set, metric. A description only: noise agrees too, the tested counts are in mart_arm_summary.
-- share_in_every_run and mean_share_seeds: 0 to 1; with one run both are 1 by definition.
select
    study,
    arm,
    probe_set,
    metric,
    min(metric_group) as metric_group,
    min(num_runs) as num_runs,
    sum(num_events) as num_events,
    count(*) as num_places,
    count(*) filter (where num_seeds = num_runs) as num_in_every_run,
    count(*) filter (where num_seeds = num_runs) / count(*) as share_in_every_run,
    avg(share_seeds) as mean_share_seeds
from int_event_support
group by study, arm, probe_set, metric
order by study, arm, probe_set, metric
