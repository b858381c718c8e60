/* Says when the service does not respond, and goes to the login when the session has ended. */

const lost = document.getElementById("lost");

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.xhr.status === 401) location.reload();
  else lost.hidden = detail.successful;
});
