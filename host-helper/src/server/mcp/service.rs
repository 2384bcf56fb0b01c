//! Between rmcp and the tools: capabilities, lists, calls, the resource.
//!
//! Written out by hand rather than with rmcp's macros: the macros choose a router by default, and that
//! default has changed under their users before.

use claustre_protocol::BUILD;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
        ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ServerCapabilities,
        ServerConfig,
    },
    service::RequestContext,
};

use super::{
    backend::McpBackend,
    tools::{self, INSTRUCTIONS, ToolName, Tools},
};
use crate::text;

/// The session's own task.
const TASK_URI: &str = "claustre://task";
const PLAIN: &str = "text/plain";

/// One connection's server.
pub struct Service<B> {
    tools: Tools<B>,
}

impl<B> Service<B> {
    /// The server over these tools.
    pub const fn new(tools: Tools<B>) -> Self {
        Self { tools }
    }
}

impl<B: McpBackend> ServerHandler for Service<B> {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("claustre", BUILD))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::list()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = ToolName::parse(&request.name) else {
            return Err(ErrorData::invalid_params(
                format!("no tool {:?}", text::one_line(&request.name, 80)),
                None,
            ));
        };
        let given = request.arguments.unwrap_or_default();
        let result = match self
            .tools
            .call(tool, given, &context.id.to_string(), &context.ct)
            .await
        {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(text) => CallToolResult::error(vec![ContentBlock::text(text)]),
        };
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let task = Resource::new(TASK_URI, "task")
            .with_title("Your task")
            .with_description("Title, description, status and steps of your own task")
            .with_mime_type(PLAIN);
        Ok(ListResourcesResult::with_all_items(vec![task]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if request.uri != TASK_URI {
            return Err(ErrorData::resource_not_found(
                format!("no resource {:?}", text::one_line(&request.uri, 80)),
                None,
            ));
        }
        let task = self
            .tools
            .own_task()
            .await
            .map_err(|told| ErrorData::resource_not_found(told, None))?;
        let contents = ResourceContents::text(task, TASK_URI).with_mime_type(PLAIN);
        Ok(ReadResourceResult::new(vec![contents]).into())
    }
}
