import Mustache

/// A template of ours, which is well-formed.
func pageTemplate(_ text: String) -> MustacheTemplate {
  do {
    return try MustacheTemplate(string: text)
  } catch {
    preconditionFailure("our templates are well-formed: \(error)")
  }
}

/// What all pages look like: on a screen, light or dark, and on paper.
let pageStyle = """
  :root { color-scheme: light dark; }
        body { margin: 0 auto; max-width: 100rem; padding: 1rem 1.5rem; font: 1rem/1.4 system-ui, sans-serif; }
        header p { margin: 0.2rem 0; max-width: 60rem; }
        .warning { font-weight: 600; }
        section { border-top: 1px solid #8888; margin-top: 1.5rem; padding-top: 0.8rem; break-inside: avoid; }
        h2 { font-size: 1rem; margin: 0 0 0.5rem; overflow-wrap: anywhere; }
        .row { display: flex; flex-wrap: wrap; gap: 0.8rem; align-items: flex-start; }
        figure { margin: 0; width: 16rem; }
        figcaption { font-variant-numeric: tabular-nums; font-size: 0.9rem; }
        svg { width: 100%; height: auto; display: block; }
        table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
        td, th { padding: 0 0.6rem 0 0; text-align: left; white-space: nowrap; }
        td + td, th + th { text-align: right; padding: 0 0 0 0.8rem; }
  """
