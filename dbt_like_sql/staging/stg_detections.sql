-- What detection did in each run and probe set: series examined, candidates seen, events selected.
-- grain: study, arm, seed, probe_set. Runs without a single event are here with 0, so they count in denominators.
select
    study,
    arm,
    seed,
    run_id,
    probe_set,
    count(*) as num_series,
    sum(num_candidates) as num_candidates,
    sum(num_selected) as num_events,
    sum(num_selected_pre) as num_events_pre_warmup
from detection_summary
group by study, arm, seed, run_id, probe_set
order by study, arm, seed, probe_set
