-- In how many replays draws of an item gave way to another one, or it stood in for another one.
-- grain: study, item_id. study is the one whose runs were replayed, both waves together: `<study>/followup` (seeds of
-- the parents) and `<study>/confirmation` (fresh seeds). A replay counts once, however many of its draws were edited.
-- In moves (late, early) both sides of an exchange give way. Items in no edit have no row, exact replays have none.
with edits as (
    select
        split_part(study, '/', 1) as study,
        split_part(study, '/', 2) as wave,
        arm,
        seed,
        condition = 'placebo' as is_placebo,
        item_from,
        item_to
    from replay_edits
    where status = 'selected'
),
touched as (
    select study, wave, arm, seed, is_placebo, item_from as item_id, true as gave_way from edits
    union
    select study, wave, arm, seed, is_placebo, item_to as item_id, false as gave_way from edits
)
select
    study,
    item_id,
    count(*) filter (where gave_way and not is_placebo and wave <> 'confirmation') as num_replays_edited,
    count(*) filter (where gave_way and not is_placebo and wave = 'confirmation') as num_fresh_replays_edited,
    count(*) filter (where gave_way and is_placebo) as num_placebo_replays,
    count(*) filter (where not gave_way) as num_replays_put_in
from touched
group by study, item_id
order by study, item_id
