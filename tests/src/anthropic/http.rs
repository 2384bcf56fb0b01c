//! Just enough HTTP/1.1 over a byte stream for a loopback stand-in.

use std::io::{self, BufRead, Read, Write};

use serde_json::Value;

/// One parsed request. Header names are lower case.
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that (lower case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the client asked for the connection to be closed after the answer.
    #[must_use]
    pub fn wants_close(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// How the client authenticated: `x-api-key`, `bearer` or nothing.
    #[must_use]
    pub fn authentication(&self) -> Option<&'static str> {
        if self.header("x-api-key").is_some() {
            Some("x-api-key")
        } else {
            self.header("authorization").map(|_| "bearer")
        }
    }
}

/// Reads one request; `None` when the client closed the connection between requests.
///
/// # Errors
/// When the bytes are not HTTP or the connection breaks.
pub fn read_request(
    reader: &mut impl BufRead,
    writer: &mut impl Write,
) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(invalid("request line"));
    };
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("header"))?;
        request
            .headers
            .push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    if request.header("expect").is_some() {
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    {
        request.body = read_chunks(reader)?;
    } else if let Some(length) = request.header("content-length") {
        let length = length.parse().map_err(|_| invalid("content-length"))?;
        request.body = vec![0; length];
        reader.read_exact(&mut request.body)?;
    }
    Ok(Some(request))
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let digits = line.trim().split(';').next().unwrap_or_default();
        let length = u64::from_str_radix(digits, 16).map_err(|_| invalid("chunk length"))?;
        reader.by_ref().take(length).read_to_end(&mut body)?;
        let mut end = String::new();
        reader.read_line(&mut end)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("bad HTTP: {what}"))
}

/// Writes a whole JSON answer; only its head for a HEAD request.
///
/// # Errors
/// When the connection breaks.
pub fn write_json(
    writer: &mut impl Write,
    request: &Request,
    status: u16,
    body: &Value,
    headers: &[(String, String)],
) -> io::Result<()> {
    let body = body.to_string();
    let mut head = format!(
        "HTTP/1.1 {status} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        reason(status),
        body.len()
    );
    push_headers(&mut head, headers);
    if request.method != "HEAD" {
        head.push_str(&body);
    }
    writer.write_all(head.as_bytes())?;
    writer.flush()
}

/// Writes the head of an event stream that ends when the connection closes.
///
/// # Errors
/// When the connection breaks.
pub fn write_stream_head(writer: &mut impl Write, headers: &[(String, String)]) -> io::Result<()> {
    let mut head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n".to_owned();
    push_headers(&mut head, headers);
    writer.write_all(head.as_bytes())?;
    writer.flush()
}

fn push_headers(head: &mut String, headers: &[(String, String)]) {
    let id = uuid::Uuid::new_v4().simple().to_string();
    head.push_str(&format!("request-id: req_{}\r\n", &id[..20]));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        529 => "Site is overloaded",
        _ => "Scripted",
    }
}
