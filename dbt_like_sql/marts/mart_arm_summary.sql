-- One line per arm: its runs, their loss, their events, and its consensus events beside what chance gives.
-- grain: study, arm. Losses in nats per supervised token, mean over runs (NaN if one is); events are means per run, in
-- probe set a (in distribution) and b (held out), null where no run was analysed. num_consensus_events, its null mean,
-- excess, interval, p and q are those of arm_outcomes, made in Python; null before that was made.
with runs as (
    select
        study,
        arm,
        count(*) as num_runs,
        count(*) filter (where stopped_early) as num_stopped_early,
        avg(first_loss) as mean_first_loss,
        avg(final_loss) as mean_final_loss,
        avg(final_loss_smooth) as mean_final_loss_smooth
    from stg_runs
    group by study, arm
),
detected as (
    select
        study,
        arm,
        avg(num_events) filter (where probe_set = 'a') as mean_num_events_a,
        avg(num_events) filter (where probe_set = 'b') as mean_num_events_b
    from stg_detections
    group by study, arm
),
consensus as (
    select study, arm, value, null_mean, excess, ci_lo, ci_hi, p_value, q_value, n_seeds
    from arm_outcomes
    where outcome = 'consensus_event_count'
)
select
    study,
    arm,
    runs.num_runs,
    runs.num_stopped_early,
    runs.mean_first_loss,
    runs.mean_final_loss,
    runs.mean_final_loss_smooth,
    detected.mean_num_events_a,
    detected.mean_num_events_b,
    consensus.n_seeds as num_seeds,
    cast(consensus.value as bigint) as num_consensus_events,
    consensus.null_mean,
    consensus.excess,
    consensus.ci_lo,
    consensus.ci_hi,
    consensus.p_value,
    consensus.q_value
from runs
left join detected using (study, arm)
left join consensus using (study, arm)
order by study, arm
