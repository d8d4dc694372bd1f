//! A headless Chromium with one page.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use chromiumoxide::{
    BrowserConfig, Page,
    cdp::{
        browser_protocol::log::{EventEntryAdded, LogEntrySource},
        js_protocol::runtime::EventExceptionThrown,
    },
};
use cqrs_tests::{
    services::variable,
    wait::{Seen, until},
};
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// How long the page may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Killed when it is dropped.
pub(crate) struct Browser {
    program: chromiumoxide::Browser,
    page: Page,
    /// What went wrong in the page: exceptions, and what its policy forbids.
    faults: Arc<Mutex<Vec<String>>>,
    listening: JoinSet<()>,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let config = BrowserConfig::builder()
            .chrome_executable(variable("CQRS_TEST_CHROMIUM"))
            .user_data_dir(profile.path())
            // Its sandbox refuses to run as root, which is what a container gives it.
            .no_sandbox()
            .build()
            .map_err(anyhow::Error::msg)?;
        let (program, mut events) = chromiumoxide::Browser::launch(config).await?;
        let mut listening = JoinSet::new();
        listening.spawn(async move { while events.next().await.is_some() {} });
        let page = program.new_page("about:blank").await?;
        let faults = Arc::new(Mutex::new(Vec::new()));
        let mut thrown = page.event_listener::<EventExceptionThrown>().await?;
        let noted = Arc::clone(&faults);
        listening.spawn(async move {
            while let Some(event) = thrown.next().await {
                note(&noted, format!("{:?}", event.exception_details));
            }
        });
        let mut logged = page.event_listener::<EventEntryAdded>().await?;
        let noted = Arc::clone(&faults);
        listening.spawn(async move {
            while let Some(event) = logged.next().await {
                // An answer of 409 is in the log, too; it is what the test asks for.
                if event.entry.source != LogEntrySource::Network {
                    note(&noted, format!("{:?}", event.entry));
                }
            }
        });
        page.enable_log().await?;
        page.goto(address).await?;
        Ok(Self {
            program,
            page,
            faults,
            listening,
            _profile: profile,
        })
    }

    /// Waits until an expression is true in the page.
    pub(crate) async fn until(&self, expression: &str) -> Result<()> {
        until(expression, PATIENCE, async || {
            let holds: bool = self.page.evaluate(expression).await?.into_value()?;
            if holds {
                return Ok(Seen::Yes);
            }
            Ok(Seen::NotYet(self.text("body").await?))
        })
        .await
    }

    pub(crate) async fn number(&self, expression: &str) -> Result<i64> {
        Ok(self.page.evaluate(expression).await?.into_value()?)
    }

    pub(crate) async fn text(&self, selector: &str) -> Result<String> {
        let element = self.page.find_element(selector).await?;
        let text = element.inner_text().await?;
        text.with_context(|| format!("{selector} has no text"))
    }

    pub(crate) async fn click(&self, selector: &str) -> Result<()> {
        self.page.find_element(selector).await?.click().await?;
        Ok(())
    }

    /// Types into a field, in place of what is there.
    pub(crate) async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let field = self.page.find_element(selector).await?;
        field.focus().await?;
        field
            .call_js_fn("function () { this.value = ''; }", false)
            .await?;
        field.type_str(text).await?;
        Ok(())
    }

    /// Chooses an option by its text.
    pub(crate) async fn choose(&self, selector: &str, option: &str) -> Result<()> {
        let (selector, option) = (
            serde_json::to_string(selector)?,
            serde_json::to_string(option)?,
        );
        let choose = format!(
            "(() => {{ const select = document.querySelector({selector}); \
             const option = [...select.options].find((option) => option.text === {option}); \
             if (!option) return false; select.value = option.value; return true; }})()"
        );
        let chosen: bool = self.page.evaluate(choose).await?.into_value()?;
        ensure!(chosen, "there is no {option} to choose");
        Ok(())
    }

    /// Closes it; fails if anything went wrong in the page.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.program.close().await?;
        self.program.wait().await?;
        self.listening.shutdown().await;
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(faults.is_empty(), "{faults:?}");
        Ok(())
    }
}

fn note(faults: &Mutex<Vec<String>>, fault: String) {
    faults
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(fault);
}
