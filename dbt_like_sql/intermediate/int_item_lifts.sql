-- What attribution says of each item over all consensus events of a study: windows, triggers, the event that tells
-- most.
-- grain: study, item_id. Items that no window of an attributed event holds have no row. best_*: of the one event with
-- the smallest q of the item (of equals the larger lb05): best_lift and best_q belong together. A trigger of null
-- uniform_time came before the event, but item and time cannot be told apart without a replay.
with ranked as (
    select
        study,
        item_id,
        arm,
        consensus_event_id,
        is_trigger,
        null_id,
        lift,
        lb05,
        q_value,
        row_number() over (
            partition by study, item_id
            order by q_value, lb05 desc, arm, consensus_event_id
        ) as place
    from trigger_attribution
),
counted as (
    select
        study,
        item_id,
        count(*) as num_events_shown,
        count(*) filter (where is_trigger) as num_events_trigger,
        count(distinct arm) filter (where is_trigger) as num_arms_trigger
    from ranked
    group by study, item_id
)
select
    study,
    item_id,
    counted.num_events_shown,
    counted.num_events_trigger,
    counted.num_arms_trigger,
    best.arm as best_arm,
    best.consensus_event_id as best_event_id,
    best.lift as best_lift,
    best.lb05 as best_lb05,
    best.q_value as best_q,
    best.is_trigger as best_is_trigger,
    best.null_id as best_null_id
from counted
join ranked as best using (study, item_id)
where best.place = 1
order by study, item_id
