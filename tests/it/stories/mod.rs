//! Stories of whole days with Claustre, on real parts: real git, a real Zellij, the real helper, and a client.

mod assigned;
mod dashboard;
mod delivered;
mod demo;
mod hooks;
mod killed_and_resumed;
mod launched_first;
mod link_held;
mod pull_request;
mod real_client;
mod removal;
mod storm;
mod support;
mod task_life;
mod two_projects_three_tasks;
