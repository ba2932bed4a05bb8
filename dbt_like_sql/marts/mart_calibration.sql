-- Every check of the platform where the truth is known: the figure, what it had to be, and whether it held.
-- grain: study, kind, what. Ordered by study, then failed, held, not judged. not judged: nothing is asked of the
-- figure, or nothing could be tested (method says which). value, bound and interval are in unit. verdict is that of
-- the claim that a check rests on (planted effect, placebo, score of the triggers), null for all others. All figures made
-- in Python.
with checks as (
    select
        study,
        "check" as kind,
        what,
        case passed when true then 'held' when false then 'failed' else 'not judged' end as outcome,
        value,
        unit,
        side,
        bound,
        ci_lo,
        ci_hi,
        num,
        dependent,
        case
            when "check" in ('planted_effect', 'placebo') then what
            when "check" = 'lds' and ends_with(what, ': triggers') then concat('lds:', split_part(what, ': ', 1))
        end as claim,
        method
    from calibration
)
select
    checks.study,
    checks.kind,
    checks.what,
    checks.outcome,
    checks.value,
    checks.unit,
    checks.side,
    checks.bound,
    checks.ci_lo,
    checks.ci_hi,
    checks.num,
    checks.dependent,
    claims.claim,
    claims.verdict,
    checks.method
from checks
left join claims on claims.study = checks.study and claims.claim = checks.claim
order by
    checks.study,
    case checks.outcome when 'failed' then 0 when 'held' then 1 else 2 end,
    checks.kind,
    checks.what
