//! Removing a plugin, and deleting what is no longer needed: bytes of old versions, and views.
//!
//! A host that deletes bytes and one that installs them again must not miss each other: who deletes
//! looks at the registry afterwards and puts the bytes back if they are wanted again; who installs
//! puts them once more after it has recorded that.

use annals_core::error::ErrorChain;
use annals_core::name::PluginName;
use annals_core::plugin::PluginKind;
use annals_core::port::blob_store::BlobError;
use annals_core::port::state_store::StateSpace;
use tracing::{info, warn};

use super::log::{RegistryEvent, Removed};
use super::registered::{Dropped, Made};
use super::{INSTALL_ATTEMPTS_MAX, InstallError, Installing, Registry, Removal, RemoveRequest};
use crate::catalog::Catalog;

impl Registry {
    /// Records that a plugin is no longer active, and ends it. Its events and its versions stay.
    pub(crate) async fn remove(
        &self,
        catalog: &Catalog,
        request: RemoveRequest,
    ) -> Result<Removal, InstallError> {
        let name = request.name;
        let mut installing = self.installing.lock().await;
        for _ in 0..INSTALL_ATTEMPTS_MAX {
            self.follow(catalog, &mut installing).await?;
            let is_removed = self.registered().get(&name).map(super::registered::Entry::is_removed);
            let is_done = match is_removed {
                // Its views may have been kept then, or only half of them deleted.
                Some(true) if request.deletes_views => true,
                Some(true) | None => return Err(self.unknown_plugin(name)),
                Some(false) => {
                    self.check_removal(&name).await?;
                    let event = RegistryEvent::Removed(Removed {
                        name: name.clone(),
                        removed_at: self.ports.clock.now(),
                        deletes_views: request.deletes_views,
                    });
                    self.append_event(event, request.principal.clone()).await?
                }
            };
            if !is_done {
                continue;
            }
            installing.waiting.remove(&name);
            self.deactivate(catalog, &mut installing, &name).await;
            let (deleted_views_count, has_deleted_instances) =
                if request.deletes_views { self.delete_views(&name).await? } else { (0, false) };
            return Ok(Removal { name, deleted_views_count, has_deleted_instances });
        }
        Err(InstallError::Contended { attempts: INSTALL_ATTEMPTS_MAX })
    }

    /// Ends what runs of a plugin.
    pub(super) async fn deactivate(
        &self,
        catalog: &Catalog,
        installing: &mut Installing,
        name: &PluginName,
    ) {
        catalog.remove(name);
        if let Some(before) = self.take_active(name) {
            if before.plugin.inspection().kind == PluginKind::Upcaster {
                installing.generation += 1;
                catalog.set_upcaster(name, None, installing.generation);
            }
            before.request_stop();
            before.ended().await;
            info!(plugin = %name, "plugin removed");
        }
        self.follow_beside_or_wait(installing, name).await;
    }

    /// Deletes views, and what a process manager knows; how many, and whether it was the latter.
    async fn delete_views(&self, name: &PluginName) -> Result<(usize, bool), InstallError> {
        let states = &self.ports.projections.states;
        let spaces = states.list().await.map_err(InstallError::View)?;
        let (mut deleted_count, mut has_deleted_instances) = (0, false);
        for space in spaces {
            let is_its = match &space {
                StateSpace::View { projection, .. } => projection == name,
                StateSpace::Process { name: process } => process == name,
                StateSpace::Host => false,
            };
            if is_its {
                states.remove(&space).await.map_err(InstallError::View)?;
                deleted_count += 1;
                has_deleted_instances |= matches!(space, StateSpace::Process { .. });
            }
        }
        Ok((deleted_count, has_deleted_instances))
    }

    /// Deletes the bytes and views of versions that are no longer kept. A failure costs space only:
    /// the next installation tries again.
    pub(super) async fn delete_dropped(&self, catalog: &Catalog, installing: &mut Installing) {
        let dropped = self.registered().dropped();
        for dropped in dropped {
            let name = dropped.name.clone();
            if let Err(error) = self.delete_one(catalog, installing, &dropped).await {
                let error = ErrorChain(&error).to_string();
                warn!(plugin = %name, error, "an old version could not be deleted");
            }
        }
    }

    async fn delete_one(
        &self,
        catalog: &Catalog,
        installing: &mut Installing,
        dropped: &Dropped,
    ) -> Result<(), InstallError> {
        let digest = dropped.made.digest;
        if !self.registered().keeps(digest) {
            let bytes = match self.ports.blobs.get(digest).await {
                Ok(bytes) => bytes,
                // They go in any case.
                Err(BlobError::Damaged { .. }) => None,
                Err(error) => return Err(InstallError::Blob(error)),
            };
            self.ports.blobs.remove(digest).await.map_err(InstallError::Blob)?;
            self.follow(catalog, installing).await?;
            match bytes {
                Some(bytes) if self.registered().keeps(digest) => {
                    self.ports.blobs.put(bytes).await.map_err(InstallError::Blob)?;
                }
                _ => {}
            }
        }
        if !self.registered().needs_view(&dropped.name, dropped.made) {
            self.delete_view(dropped).await?;
        }
        self.registered_mut().forget_dropped(dropped);
        Ok(())
    }

    async fn delete_view(&self, dropped: &Dropped) -> Result<(), InstallError> {
        let Dropped { name, kind, made: Made { digest, build } } = dropped;
        if *kind != PluginKind::Projection {
            return Ok(());
        }
        let space = StateSpace::View { projection: name.clone(), digest: *digest, build: *build };
        self.ports.projections.states.remove(&space).await.map_err(InstallError::View)
    }
}
