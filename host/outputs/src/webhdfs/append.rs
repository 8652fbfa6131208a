//! Objects that are put behind others, in one file.
//!
//! How long the file was before is remembered: when an answer is lost it tells what became of the write, and what was
//! written in part is cut off.

use super::WebhdfsOutput;
use super::fault::Fault;
use crate::staging::Object;

impl WebhdfsOutput {
    /// Puts an object behind what is in its file.
    pub(super) async fn append(&self, object: &Object) -> Result<(), Fault> {
        let path = self.path(object);
        let length = self.client.length(&path).await?;
        let before = object.progress.lock().upload.as_ref().and_then(|before| before.parse::<u64>().ok());
        let now = length.unwrap_or(0);
        if let Some(before) = before {
            if now == before + object.length {
                return Ok(());
            }
            if now < before {
                return Err(Fault::Barred(format!("{path} has become shorter: somebody else writes to it")));
            }
            if now > before && !self.client.truncate(&path, before).await? {
                let reason = format!("{path} is being cut to what it was");
                return Err(Fault::Busy { after: None, reason });
            }
        } else {
            object.progress.lock().upload = Some(now.to_string());
        }
        match length {
            None => match self.client.create(&path, object, &self.wishes, false).await {
                // Made since it was looked for, perhaps by a write of ours that was given up.
                Err(Fault::Path(said)) if said.contains("FileAlreadyExistsException") => {
                    Err(Fault::Barred(said))
                }
                created => created,
            },
            Some(_) => self.client.append(&path, object).await,
        }
    }
}
