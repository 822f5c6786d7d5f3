extension EvaluationPage {
  static let template = """
    <!doctype html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Evaluation</title>
    <style>
      {{{style}}}
      h1 { font-size: 1.6rem; margin: 0.6rem 0; }
      h2 { font-size: 1.2rem; }
      h3 { font-size: 1rem; margin: 1rem 0 0.3rem; }
      .alarm { border-left: 0.4rem solid #d55e00; padding: 0.4rem 0.8rem; margin: 0.6rem 0; }
      .scroll { overflow-x: auto; }
      .mark { display: inline-block; width: 0.8rem; height: 0.8rem; border-radius: 50%; }
      .wide svg { max-width: 50rem; }
      svg text { fill: currentColor; font-size: 11px; font-variant-numeric: tabular-nums; }
      .case { width: 22.5rem; }
      .case img { width: 11rem; height: auto; }
      .case .pair { display: flex; gap: 0.4rem; }
      caption { text-align: left; padding: 0.8rem 0 0.4rem; font-weight: 600; white-space: nowrap; }
      .notes { font-size: 0.85rem; }
      code { overflow-wrap: anywhere; }
      h2, .counts { break-after: avoid; }
      section { break-inside: auto; }
      .row, figure, table, .wide { break-inside: avoid; }
      @page { margin: 1.5cm; }
      @media print { :root { color-scheme: light; } body { font-size: 9pt; padding: 0; } .scroll { overflow: visible; } }
    </style>
    <header>
      <p class="warning">This page contains patient images and identifiers.</p>
      <h1>How well findings are ranked</h1>
      {{#list}}<p>{{.}}</p>{{/list}}
      {{#columns}}
      <p><span class="mark" style="background: {{color}}"></span> {{#isSeveral}}{{label}} {{/isSeveral}}{{name}}{{#network}}: {{.}}{{/network}}</p>
      {{/columns}}
      {{#warnings}}<p class="alarm"><strong>{{.}}.</strong> These are not AUROCs of new patients.</p>{{/warnings}}
      {{#unverified}}<p class="alarm">{{.}}</p>{{/unverified}}
      <p>chexnet {{version}}. For research; not a medical device.</p>
    </header>
    <main>
    <section>
      <h2>AUROC</h2>
      {{#scores}}{{> table}}{{/scores}}
      <p class="notes">{{#notes}}{{.}}<br>{{/notes}}</p>
      <div class="wide">{{{forest}}}</div>
      {{#forestNote}}<p>{{.}}</p>{{/forestNote}}
    </section>
    {{#isCompared}}<section><h2>Compared</h2>{{#comparisons}}{{> table}}{{/comparisons}}</section>{{/isCompared}}
    {{#groups}}
    <section><h2>Groups of patients</h2>{{> table}}{{#groupFindings}}{{> table}}{{/groupFindings}}</section>
    {{/groups}}
    {{#findings}}
    <section>
      <h2>{{name}}</h2>
      <p class="counts">{{counts}}</p>
      <div class="row">{{#plots}}<figure>{{{.}}}</figure>{{/plots}}</div>
      {{#numbers}}{{> table}}{{/numbers}}
      {{#thresholds}}{{> table}}{{/thresholds}}
    </section>
    {{/findings}}
    {{#worst}}
    <section>
      <h2>{{finding}}: most wrong</h2>
      <p class="counts">By {{worstColumn}}.</p>
      <div class="row">
      {{#cases}}
      <figure class="case">
        <div class="pair">{{#pictures}}<img src="data:image/jpeg;base64,{{{data}}}" alt="{{alt}}">{{/pictures}}</div>
        <figcaption>{{kind}}, {{probability}}: {{image}}, patient {{patient}}<br>{{labels}}</figcaption>
      </figure>
      {{/cases}}
      </div>
    </section>
    {{/worst}}
    <section>
      <h2>Where this comes from</h2>
      <p><code>{{command}}</code></p>
      <p>{{date}}; {{engine}}; chexnet {{version}}</p>
      <table><tr><th>file</th><th>SHA-256</th></tr>{{#files}}<tr><td>{{name}}</td><td><code>{{sha256}}</code></td></tr>{{/files}}</table>
    </section>
    </main>
    </html>

    """

  /// Any table, with a title where it has one.
  static let tableTemplate = """
    <div class="scroll"><table>
    {{#title}}<caption>{{.}}</caption>{{/title}}
    <tr>{{#header}}<th>{{.}}</th>{{/header}}</tr>
    {{#rows}}<tr>{{#cells}}<td>{{.}}</td>{{/cells}}</tr>
    {{/rows}}
    </table></div>
    """
}
