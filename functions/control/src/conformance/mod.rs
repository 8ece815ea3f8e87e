//! The suites that every implementation of a port must pass: one case, one named test.
//!
//! `store_conformance!(make)` and `fleet_conformance!(make)` write out one `#[tokio::test]` a case; `make` is an async
//! expression that gives a fresh port and something that is dropped after it. The cases are examples, to be read; beside
//! them `store_model!(cases, failures, make)` and `fleet_model!` run random calls against a reference model ([`model`]). A
//! fleet that refuses an attempt lower than one it has seen has `fleet_fencing_conformance!`, and its model is
//! `fleet_fencing_model!`: EC2 knows no attempts.

pub mod fleet;
pub mod model;
pub mod store;

/// Writes out the store suite as tests.
#[macro_export]
macro_rules! store_conformance {
    ($make:expr) => {
        $crate::store_conformance!(@ $make;
            a_group_is_unknown_before_its_first_claim,
            a_first_claim_creates_head_once,
            a_claim_writes_all_or_nothing,
            a_claim_on_an_old_version_is_a_conflict,
            of_many_claims_at_once_one_wins,
            a_claim_overwrites_the_record_of_an_equal_decision,
            members_are_put_replaced_and_deleted,
            rosters_and_policies_are_kept_by_number,
            what_has_been_learnt_is_kept_for_whom_head_says_it_is,
            an_intent_is_leased_by_one_at_a_time,
            a_lease_does_not_raise_the_version,
            an_untried_intent_can_be_taken_back_and_a_leased_one_cannot,
            a_settlement_ends_its_intents_and_raises_the_version,
            a_settlement_needs_its_own_attempt_and_the_roster_as_read,
            outcomes_of_settlements_add_up_until_a_claim_takes_them,
            a_first_lease_is_remembered_and_a_later_one_is_not,
            a_lease_is_released_by_its_own_attempt_only,
            a_slot_is_taken_once_and_never_backwards,
            a_slot_is_taken_again_by_its_owner_and_by_nobody_else,
            a_sweep_is_written_once,
            shards_and_groups_are_kept_apart,
            the_record_of_sweeps_is_read_page_by_page,
            sweeps_are_sampled_part_by_part,
            activities_come_back_in_order_and_bounded,
            activities_are_read_backwards_page_by_page,
            groups_are_known_from_their_first_claim_on,
            rejected_records_add_up_and_the_last_reason_stands,
        );
    };
    (@ $make:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (store, _guard) = $make.await;
                $crate::conformance::store::$case(&store).await;
            }
        )*
    };
}

/// Writes out the fleet suite as tests.
#[macro_export]
macro_rules! fleet_conformance {
    ($make:expr) => {
        $crate::fleet_conformance!(@ $make;
            a_token_launches_once,
            a_token_launches_once_also_for_two_at_once,
            a_launch_tells_where_the_agent_listens,
            a_token_with_other_parameters_is_refused,
            a_token_of_an_ended_instance_launches_nothing,
            an_ended_instance_is_listed_as_gone_and_may_be_ended_again,
            ending_what_is_unknown_is_success,
            groups_are_listed_apart,
            an_instance_is_described_by_its_id_whatever_its_group,
            all_of_many_are_listed_and_described,
            of_nobody_nothing_is_described,
            a_template_has_a_default_version,
            a_launch_is_found_by_its_token,
            a_mark_is_set_and_taken_off_by_itself,
            only_an_instance_of_the_group_is_marked,
        );
    };
    (@ $make:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (fleet, _guard) = $make.await;
                $crate::conformance::fleet::$case(&fleet).await;
            }
        )*
    };
}

/// Writes out what a fleet must do that refuses attempts lower than it has seen, as tests.
#[macro_export]
macro_rules! fleet_fencing_conformance {
    ($make:expr) => {
        $crate::fleet_conformance!(@ $make; a_lower_attempt_than_seen_is_refused,);
    };
}

/// Writes out one test that runs `cases` cases of random calls of a store against the model, and keeps those that fail in
/// the file `failures`.
#[macro_export]
macro_rules! store_model {
    ($cases:expr, $failures:expr, $make:expr) => {
        #[test]
        fn whatever_is_called_it_does_as_the_model_says() {
            let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            $crate::conformance::model::store::check($cases, $failures, || $make, |case| runtime.block_on(case));
        }
    };
}

/// The same for a fleet that knows no attempts, as EC2.
#[macro_export]
macro_rules! fleet_model {
    ($cases:expr, $failures:expr, $make:expr) => {
        $crate::fleet_model!(@ false, $cases, $failures, $make);
    };
    (@ $fencing:literal, $cases:expr, $failures:expr, $make:expr) => {
        #[test]
        fn whatever_is_called_it_does_as_the_model_says() {
            let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            $crate::conformance::model::fleet::check::<$fencing, _, _, _>(
                $cases,
                $failures,
                || $make,
                |case| runtime.block_on(case),
            );
        }
    };
}

/// The same for a fleet that refuses attempts lower than it has seen.
#[macro_export]
macro_rules! fleet_fencing_model {
    ($cases:expr, $failures:expr, $make:expr) => {
        $crate::fleet_model!(@ true, $cases, $failures, $make);
    };
}
