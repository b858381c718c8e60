/* Shows the OpenAPI document of this service. Keys that are entered here stay in this window. */

/* global SwaggerUIBundle */

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  validatorUrl: null, // its default is another host
  deepLinking: false,
});
