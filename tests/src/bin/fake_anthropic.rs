//! `fake-anthropic --script FILE --port N --log FILE [--full]`: the scripted Messages API as a program.
//! Prints `listening PORT` and serves until it is ended.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use claustre_tests::anthropic::{AnthropicServer, Options, Script, Source};

fn main() -> anyhow::Result<()> {
    let mut options = Options::default();
    let mut source = Source::Fixed(Script::default());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .with_context(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--script" => source = Source::File(value()?.into()),
            "--port" => options.port = value()?.parse().context("--port")?,
            "--log" => options.log = Some(value()?.into()),
            "--full" => options.full = true,
            other => bail!("unknown argument {other:?}; known: --script --port --log --full"),
        }
    }
    let server = AnthropicServer::start_with(source, options)?;
    println!("listening {}", server.port());
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}
