-- What each study found out about an item: lifts before events, cores, replays without it, sampling modes, order.
-- grain: study, item_id. Studies that share runs repeat each other's evidence: rows of two studies are not two
-- findings. Items of which no table of evidence speaks have no row; a count of 0 says that none is stored, also where
-- the study never asked. best_*: of the one event with the smallest q of the item; q is corrected within an arm, not
-- over arms. Replays are counted for the study whose runs they repeat. Lifts of a core that rests on no significant
-- event are in impact_core alone. cores and mode_classes: JSON lists, null without any; a trigger has one class per
-- kind of event. trigger_persistence is of modes, not of items, and so not here. order_*: of the item's own row in
-- comparison `order`, the same in all arms. family_id and family_type are null outside the pool. All figures made in
-- Python.
with cores as (
    select
        study,
        item_id,
        cast(to_json(list_sort(list(distinct core))) as varchar) as cores,
        min(rank) filter (where core = 'impact') as impact_rank
    from impact_core
    group by study, item_id
),
modes as (
    select
        study,
        item_id,
        cast(to_json(list_sort(list(distinct mode_class))) as varchar) as mode_classes
    from trigger_modes
    group by study, item_id
),
placed as (
    select
        study,
        item_id,
        interaction,
        ci_lo,
        ci_hi,
        q_value,
        order_sensitive,
        row_number() over (
            partition by study, item_id
            order by q_value nulls last, probe_set, analysis_id, arm
        ) as place
    from order_sensitivity
    where grain = 'item' and comparison = 'order'
),
ordered as (
    select study, item_id, interaction, ci_lo, ci_hi, q_value, order_sensitive
    from placed
    where place = 1
),
items as (
    select study, item_id from int_item_lifts
    union
    select study, item_id from int_item_edits
    union
    select study, item_id from cores
    union
    select study, item_id from modes
    union
    select study, item_id from ordered
),
-- The pool is keyed by content: an id that came twice must not make two rows.
pool as (
    select item_id, min(family_id) as family_id, min(family_type) as family_type
    from candidate_pool
    group by item_id
)
select
    items.study,
    items.item_id,
    pool.family_id,
    pool.family_type,
    coalesce(lifts.num_events_shown, 0) as num_events_shown,
    coalesce(lifts.num_events_trigger, 0) as num_events_trigger,
    coalesce(lifts.num_arms_trigger, 0) as num_arms_trigger,
    lifts.best_arm,
    lifts.best_event_id,
    lifts.best_lift,
    lifts.best_lb05,
    lifts.best_q,
    lifts.best_is_trigger,
    lifts.best_null_id,
    cores.cores,
    cores.impact_rank,
    coalesce(edits.num_replays_edited, 0) as num_replays_edited,
    coalesce(edits.num_fresh_replays_edited, 0) as num_fresh_replays_edited,
    coalesce(edits.num_placebo_replays, 0) as num_placebo_replays,
    coalesce(edits.num_replays_put_in, 0) as num_replays_put_in,
    modes.mode_classes,
    ordered.interaction as order_interaction,
    ordered.ci_lo as order_ci_lo,
    ordered.ci_hi as order_ci_hi,
    ordered.q_value as order_q,
    ordered.order_sensitive
from items
left join int_item_lifts as lifts on lifts.study = items.study and lifts.item_id = items.item_id
left join int_item_edits as edits on edits.study = items.study and edits.item_id = items.item_id
left join cores on cores.study = items.study and cores.item_id = items.item_id
left join modes on modes.study = items.study and modes.item_id = items.item_id
left join ordered on ordered.study = items.study and ordered.item_id = items.item_id
left join pool on pool.item_id = items.item_id
order by items.study, items.item_id
