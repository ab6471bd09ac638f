//! Comparing what is stored with a source.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Migrator;
use super::account::{listed, requests};
use crate::migration::ledger::Ledger;
use crate::migration::plan::{Counts, Plan, PlanError, blocking};
use crate::migration::progress::{Unwatched, Watch};
use crate::migration::validate::{CheckName, Comparison, Sampled, Stopped, Validation};
use crate::migration::waits::Teller;
use crate::migration::{Error, MAX_LISTED, Request};
use crate::sources::Source;

impl Migrator {
    /// Compares what is stored with a source, record by record.
    ///
    /// # Errors
    /// If the source or the backend cannot be read.
    pub async fn validate_migration(
        &self,
        source: impl Source + 'static,
        request: &Request,
    ) -> Result<Validation, Error> {
        self.validate(
            Box::new(source),
            request,
            Arc::new(Unwatched),
            &CancellationToken::new(),
        )
        .await
    }

    /// Compares what is stored with a source, record by record.
    ///
    /// # Errors
    /// If the source or the backend cannot be read, or it was cancelled.
    pub async fn validate(
        &self,
        source: Box<dyn Source>,
        request: &Request,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Validation, Error> {
        let _teller = Teller::new(&self.service, &watch);
        let (name, system) = (source.name(), source.system());
        let plan = self.plan(source, request, watch.clone(), cancelled).await?;
        let sample = match request.sample {
            Some(sample) => {
                let size = sample.records;
                let keep = move |plan: &Plan| plan.keep_sample(size, sample.seed);
                let of = plan.step(keep).await.map_err(PlanError::from)?;
                Some(Sampled {
                    records: of.min(size as u64),
                    of,
                    seed: sample.seed,
                    as_in_source: false,
                })
            }
            None => None,
        };
        let found = self.compare(&plan, sample, &watch, cancelled).await?;
        if found.sample.is_none()
            && let Some(run) = self.run_of(name, system, request, cancelled).await?
        {
            self.keep_validation(&run, &found).await;
        }
        Ok(found)
    }

    /// The last run of the same source and request in the ledger, if there is one.
    async fn run_of(
        &self,
        source: String,
        system: &'static str,
        request: &Request,
        cancelled: &CancellationToken,
    ) -> Result<Option<String>, Error> {
        let Some(data_dir) = self.data_dir.clone() else {
            return Ok(None);
        };
        let Some(ledger) = blocking(move || Ledger::open_existing(&data_dir)).await? else {
            return Ok(None);
        };
        let Some((_, start)) = self.start(source, system, request, cancelled).await? else {
            return Ok(None);
        };
        Ok(blocking(move || ledger.last_run_of(&start)).await?)
    }

    /// Keeps a validation with the run that it is of, in the ledger.
    pub(super) async fn keep_validation(&self, run: &str, found: &Validation) {
        let Some(data_dir) = self.data_dir.clone() else {
            return;
        };
        let (run, found) = (run.to_owned(), serde_json::to_value(found));
        let kept = blocking(move || {
            let ledger = Ledger::open_existing(&data_dir)?;
            ledger.map_or(Ok(()), |ledger| {
                ledger.add_to_report(&run, "validation", &found.unwrap_or_default())
            })
        });
        if let Err(error) = kept.await {
            tracing::warn!(%error, "the validation is not kept in the ledger");
        }
    }

    pub(super) async fn compare(
        &self,
        plan: &Arc<Plan>,
        sample: Option<Sampled>,
        watch: &Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Validation, Error> {
        let begun = Instant::now();
        let before = self.service.stats();
        let mut validation = Validation::new(self.service.backend(), Timestamp::now());
        validation.sample = sample;
        validation.source_problems = listed(plan, MAX_LISTED).await?.0;
        let Counts {
            records,
            failed,
            problems,
            ..
        } = plan.counts;
        validation.source_problems_not_listed = problems - validation.source_problems.len() as u64;
        validation.count(CheckName::SourceReadable, records + failed, records);
        let comparison = Comparison::new(self.context(plan, watch), cancelled, validation);
        let mut validation = comparison.run().await.map_err(stopped)?;
        if problems > 0 {
            validation.fails(CheckName::SourceReadable);
        }
        validation.finish();
        validation.requests = requests(before, self.service.stats());
        validation.duration_secs = begun.elapsed().as_secs_f64();
        Ok(validation)
    }
}

pub(super) fn stopped(stopped: Stopped) -> Error {
    match stopped {
        Stopped::Memory(error) => Error::from(error),
        Stopped::Spool(error) => PlanError::from(error).into(),
    }
}
