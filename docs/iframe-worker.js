// The search of the site runs in a worker, which browsers do not start for pages opened as files: there it runs in a hidden frame.
class FrameWorker extends EventTarget {
  constructor(url) {
    super()
    const frame = document.createElement("iframe")
    frame.hidden = true
    document.body.appendChild(frame)
    const inside = (this.inside = frame.contentWindow)
    inside.document.open()
    inside.document.write("<!doctype html><body></body>")
    inside.document.close()
    inside.postMessage = (data) => {
      const event = new MessageEvent("message", { data })
      this.dispatchEvent(event)
      if (this.onmessage) this.onmessage(event)
    }
    inside.importScripts = (...urls) => urls.reduce((before, each) => before.then(() => load(inside, each)), Promise.resolve())
    this.ready = load(inside, url)
  }

  postMessage(data) {
    this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })))
  }

  terminate() {
    this.inside.frameElement.remove()
  }
}

function load(inside, url) {
  return new Promise((resolve, reject) => {
    const script = inside.document.createElement("script")
    script.src = url
    script.onload = resolve
    script.onerror = reject
    inside.document.body.appendChild(script)
  })
}

if (location.protocol === "file:") window.Worker = FrameWorker
