//! The protocol's side: what the server offers, and its answers to a client's requests.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, ErrorData, GetTaskParams,
    GetTaskResult, Implementation, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerConfig, UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde_json::json;

use super::call::{Call, failure, response};
use super::{Desk, resources, tasks, tools};
use crate::error::Error;
use crate::os::blocking::blocking;

/// The server of one client.
#[derive(Debug)]
pub(super) struct Server {
    desk: Arc<Desk>,
}

impl Server {
    pub(super) fn new(desk: Desk) -> Self {
        Self {
            desk: Arc::new(desk),
        }
    }

    /// Does what may block.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Desk) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, ErrorData> {
        let desk = Arc::clone(&self.desk);
        let looked = blocking(move || look(&desk)).await;
        looked.map_err(|error| {
            let data = json!({"error": failure(&error)});
            ErrorData::invalid_params(error.message(), Some(data))
        })
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
            .with_server_info(Implementation::new(
                "cx-operator",
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions(tools::INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all(
            &self.desk.allowed,
        )))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = Call {
            desk: Arc::clone(&self.desk),
            context,
            responses: request.input_responses,
        };
        match tools::call(&request.name, request.arguments, &call).await {
            Some(answer) => Ok(response(answer)),
            None => {
                let message = format!("there is no tool `{}`", request.name.escape_default());
                Err(ErrorData::invalid_params(message, None))
            }
        }
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let before = page.and_then(|page| page.cursor);
        self.look(move |desk| resources::list(desk, before.as_deref()))
            .await
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let read = self.look(move |desk| resources::read(desk, &request.uri));
        Ok(read.await?.into())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let can_ask = super::asking::asking(&context) != super::asking::Asking::Never;
        let task = self.look(move |desk| tasks::load(desk, &request.task_id, can_ask));
        Ok(GetTaskResult::new(task.await?))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.look(move |desk| tasks::answer(desk, &request.task_id, &request.input_responses))
            .await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.look(move |desk| tasks::cancel(desk, &request.task_id))
            .await
    }
}
