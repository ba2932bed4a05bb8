-- Every consensus event and what attribution says of it: how many triggers, of which families, the best one, the q.
-- grain: study, consensus_event_id. A wave with events of its own is a study of its own name; studies that share runs
-- share events too, so equal rows of two studies are one finding. status: triggers, no triggers, underpowered (no item
-- could have been one) or not attributed (attribution looks into significant events of the pre-registered probe set,
-- and into none of later waves): then everything about items is null. smallest_q is over all items; best_* are of the
-- trigger that ranks first, null without one. num_uniform_time: triggers whose time the policy fixes, so that item and
-- time cannot be told apart without a replay. Steps in optimiser steps. All figures made in Python.
with triggers as (
    select
        study,
        arm,
        analysis_id,
        consensus_event_id,
        count(distinct family_id) as num_families,
        cast(to_json(list_sort(list(distinct family_id))) as varchar) as families,
        count(*) filter (where null_id = 'uniform_time') as num_uniform_time,
        arg_min(item_id, rank) as best_item_id,
        arg_min(family_id, rank) as best_family_id,
        arg_min(lift, rank) as best_lift,
        arg_min(lb05, rank) as best_lb05,
        arg_min(q_value, rank) as best_q
    from trigger_attribution
    where is_trigger
    group by study, arm, analysis_id, consensus_event_id
)
select
    study,
    arm,
    analysis_id,
    event.probe_set,
    consensus_event_id,
    event.band,
    event.metric_group,
    event.polarity,
    event.median_step,
    event.n_seeds,
    event.num_matched,
    event.q_value as event_q,
    event.near_boundary,
    coalesce(answer.status, 'not attributed') as status,
    answer.num_tested,
    answer.num_triggers,
    case when answer.num_triggers = 0 then 0 else triggers.num_families end as num_families,
    triggers.families,
    case when answer.num_triggers = 0 then 0 else triggers.num_uniform_time end as num_uniform_time,
    triggers.best_item_id,
    triggers.best_family_id,
    triggers.best_lift,
    triggers.best_lb05,
    triggers.best_q,
    answer.smallest_q,
    answer.attainable_q
from consensus_events as event
left join trigger_status as answer using (study, arm, analysis_id, consensus_event_id)
left join triggers using (study, arm, analysis_id, consensus_event_id)
order by study, arm, event_q, event.median_step, consensus_event_id
