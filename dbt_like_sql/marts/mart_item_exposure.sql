-- For each item, what training gave it: arms and draws, the draws its curricula promise, and the extremes of the two.
-- grain: study, item_id. Draws are summed over runs; expected_draws too, null if no arm promises any. Ratios are
-- observed / promised in one arm, 1 is as promised, null without a promise. family_type is null outside the pool.
select
    exposure.study,
    exposure.item_id,
    pool.family_id,
    pool.family_type,
    pool.difficulty_proxy,
    count(*) filter (where exposure.num_draws > 0) as num_arms,
    sum(exposure.num_runs) as num_runs,
    sum(exposure.num_draws) as num_draws,
    sum(exposure.expected_draws * exposure.num_runs) as expected_draws,
    min(exposure.ratio) as min_ratio,
    max(exposure.ratio) as max_ratio
from int_exposure as exposure
left join candidate_pool as pool using (item_id)
group by exposure.study, exposure.item_id, pool.family_id, pool.family_type, pool.difficulty_proxy
order by exposure.study, exposure.item_id
