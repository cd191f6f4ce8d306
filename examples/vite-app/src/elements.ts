/** The element of a page by its id. @throws Error if index.html has no such element of the type */
export function element<Type extends HTMLElement>(id: string, type: new () => Type): Type {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} with the id "${id}".`)
  return found
}
