-- For each item, what training gave it: arms and draws, the draws its curricula promise, and the extremes of the two.
-- grain: study, item_id. num_draws and expected_draws are summed over runs; expected_draws is null without any promise.
-- Ratios are observed / promised draws in one arm: 1 is as promised, null where nothing is promised. family_type and
-- difficulty_proxy are null for items outside the pool.
select
    exposure.study,
    exposure.item_id,
    min(exposure.family_id) as family_id,
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
group by exposure.study, exposure.item_id, pool.family_type, pool.difficulty_proxy
order by exposure.study, exposure.item_id
